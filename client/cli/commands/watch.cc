#include <iostream>

#include "client/cli/commands/commands.h"
#include "client/cli/faults.h"
#include "client/cli/figures.h"
#include "client/cli/progress.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

constexpr size_t kMaxSample = size_t{64} << 10;  // Bytes; more than is ever told.

std::string ProgressLine(const graft::v1::Progress& p, bool bar) {
  std::string line;
  if (bar) {
    line = Bar(p.total_steps() > 0
                   ? static_cast<double>(p.step()) / static_cast<double>(p.total_steps())
                   : 0);
  }
  line += "step " + std::to_string(p.step()) + "/" + std::to_string(p.total_steps()) + "  epoch " +
          Fixed(p.epoch(), 2) + "  loss " + Fixed(p.loss(), 4) + "  " +
          Fixed(p.tokens_per_second(), 0) + " tok/s";
  if (p.step() < p.total_steps()) line += "  " + Duration(p.eta_seconds()) + " left";
  return line;
}

/// "QUEUED (RETRY): the worker ran out of memory"; empty if the change is no news.
std::string StateLine(const graft::v1::StateChange& change) {
  const bool shown = change.from() != change.to() && change.reason() != "DATA_READY" &&
                     change.reason() != "COMPLETED";
  if (!shown && change.to() != graft::v1::SUCCEEDED) return {};
  std::string line = graft::v1::JobState_Name(change.to());
  if (!change.reason().empty()) line += " (" + change.reason() + ")";
  // Why a job failed is told when the watch ends.
  if (change.to() != graft::v1::FAILED && !change.error().message().empty())
    line += ": " + OnOneLine(change.error().message());
  return line;
}

/// On one line: what it holds of line breaks and controls is escaped.
std::string SampleLine(const graft::v1::Sample& sample) {
  return "sample " + std::to_string(sample.index() + 1) + ", step " +
         std::to_string(sample.step()) + ": " + Quoted(sample.prompt()) + " -> " +
         Quoted(sample.text(), kMaxSample) + " (" + Printable(sample.finish_reason()) + ")";
}

std::string EventLine(const graft::v1::JobEvent& event) {
  if (event.has_progress()) return ProgressLine(event.progress(), false);
  if (event.has_state_change()) return StateLine(event.state_change());
  if (event.has_warning()) return "warning: " + OnOneLine(event.warning());
  if (event.has_version_created()) {
    return "made " + event.version_created().adapter_version() +
           (event.version_created().promoted() ? ", now live" : "");
  }
  if (event.has_sample()) return SampleLine(event.sample());
  if (!event.checkpoint().adapter_version().empty()) {
    return "kept " + event.checkpoint().adapter_version() + "  (step " +
           std::to_string(event.checkpoint().step()) + ")";
  }
  if (!event.has_evaluation()) return {};
  const auto& e = event.evaluation();
  return e.split() + ": " + Figures(e) + "  (" + std::to_string(e.examples()) + " examples, step " +
         std::to_string(e.step()) + ")";
}

}  // namespace

int WatchJob(Context& context, const std::string& name, int64_t after_event) {
  bool bar_open = false;
  graft::v1::JobState last_state = graft::v1::JOB_STATE_UNSPECIFIED;
  graft::v1::ErrorInfo error;
  const auto print = [&](const std::string& line) {
    if (bar_open) context.out << "\r\033[K";
    bar_open = false;
    context.out << line << std::endl;
  };
  client::WatchOptions options;
  if (!context.json) {
    options.on_away = [&](const Status& away) {
      if (bar_open) context.out << std::endl;
      bar_open = false;
      context.err << "graft: the server is away; the watch goes on when it is back ("
                  << OnOneLine(away.message()) << ")" << std::endl;
    };
  }
  const Status status = context.client->Watch(
      WithPrefix("jobs/", name), after_event,
      [&](const graft::v1::JobEvent& event) {
        if (event.has_state_change()) {
          last_state = event.state_change().to();
          error = event.state_change().error();
        }
        if (context.json) {
          PrintJson(context, event);
          context.out.flush();
          return context.out.good();
        }
        if (context.terminal && event.has_progress()) {
          context.out << "\r\033[K" << ProgressLine(event.progress(), true) << std::flush;
          bar_open = true;
        } else if (const std::string line = EventLine(event); !line.empty()) {
          print(line);
        }
        return context.out.good();
      },
      options);
  if (bar_open) context.out << std::endl;
  if (!context.out) return kOk;  // Run says so.
  if (!status.ok()) return Refuse(context, status);
  if (last_state == graft::v1::JOB_STATE_UNSPECIFIED) {
    // It had ended before the event that the watch began behind.
    graft::v1::GetJobRequest request;
    request.set_name(WithPrefix("jobs/", name));
    const auto job = context.client->Call(context.client->jobs(),
                                          &graft::v1::FinetuningService::Stub::GetJob, request);
    if (!job.ok()) return Refuse(context, job.status());
    last_state = job->state();
    error = job->error();
  }
  if (last_state == graft::v1::SUCCEEDED) return kOk;
  if (last_state == graft::v1::FAILED && !context.json) {
    context.err << "graft: the job failed: " << OnOneLine(error.message()) << "\n";
    PrintFaults(context.err, error);
  }
  return kJobFailed;
}

}  // namespace graft::cli
