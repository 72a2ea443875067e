#include <chrono>
#include <memory>
#include <vector>

#include "client/cli/commands/commands.h"
#include "client/cli/faults.h"
#include "client/cli/figures.h"
#include "client/cli/spec_flags.h"
#include "client/cli/table.h"
#include "common/base/ids.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using graft::v1::FinetuningService;
using graft::v1::Job;
using Stub = FinetuningService::Stub;

int64_t SecondsSince(const google::protobuf::Timestamp& time) {
  return SystemClock().Now() / 1'000'000 - time.seconds();
}

std::string MethodName(const graft::v1::Method& method) {
  const auto* field = method.GetReflection()->GetOneofFieldDescriptor(
      method, method.GetDescriptor()->oneof_decl(0));
  return field != nullptr ? field->name() : "";
}

void PrintFacts(Context& context, const graft::v1::JobFacts& f) {
  auto& out = context.out;
  out << "  examples     " << f.train_examples() << " train, " << f.validation_examples()
      << " validation, " << f.test_examples() << " test";
  // Only classifiers have labels.
  if (f.labels() > 0 || f.loss_tokens() == 0) out << "; " << f.labels() << " labels";
  out << "\n";
  if (f.train_tokens() > 0) {
    out << "  tokens       " << f.train_tokens() << " an epoch, ";
    if (f.loss_tokens() > 0) out << f.loss_tokens() << " of them to be learned, ";
    out << f.truncated_examples() << " examples " << (f.loss_tokens() > 0 ? "beyond" : "cut at")
        << " max_length\n";
  }
  if (f.dropped_examples() > 0)
    out << "  left out     " << f.dropped_examples() << " examples with nothing to learn\n";
  if (f.total_steps() > 0) out << "  steps        " << f.total_steps() << "\n";
  if (f.trainable_parameters() > 0) {
    out << "  parameters   " << f.trainable_parameters() << " trained";
    if (f.base_parameters() > 0) {
      out << " ("
          << Fixed(100.0 * static_cast<double>(f.trainable_parameters()) /
                       static_cast<double>(f.base_parameters()),
                   2)
          << " % of the base)";
    }
    out << "\n";
  }
  if (f.artifact_bytes() > 0) out << "  artifact     " << Bytes(f.artifact_bytes()) << "\n";
  if (f.peak_memory_bytes() > 0) out << "  peak memory  " << Bytes(f.peak_memory_bytes()) << "\n";
  if (f.seconds() > 0) out << "  seconds      " << Fixed(f.seconds(), 1) << "\n";
}

template <typename Warnings>
void PrintWarnings(Context& context, const Warnings& warnings) {
  for (const std::string& warning : warnings)
    context.out << "  warning      " << OnOneLine(warning) << "\n";
}

/// One attempt that runs or did all is no news.
void PrintAttempts(Context& context, const Job& job) {
  if (job.attempts_size() == 1 &&
      (job.attempts(0).end_reason().empty() || job.attempts(0).end_reason() == "COMPLETED")) {
    return;
  }
  for (const auto& a : job.attempts()) {
    context.out << "  attempt " << a.number() << "    "
                << (a.end_reason().empty() ? "running" : a.end_reason()) << ", steps "
                << a.first_step() << " to ";
    // How far a running one is may not have been told yet.
    if (a.end_reason().empty() && a.last_step() < a.first_step()) {
      context.out << "...\n";
    } else {
      context.out << a.last_step() << "\n";
    }
  }
}

/// The job's checkpoints that are versions, oldest first. What can't be asked isn't shown.
std::vector<graft::v1::AdapterVersion> KeptCheckpoints(Context& context, const Job& job) {
  std::vector<graft::v1::AdapterVersion> kept;
  if (job.spec().hyperparameters().keep_checkpoints() == 0) return kept;
  graft::v1::ListVersionsRequest request;
  request.set_adapter(WithPrefix("adapters/", job.spec().adapter()));
  request.set_filter("job=" + job.name());
  do {
    const auto page = context.client->Call(context.client->adapters(),
                                           &graft::v1::AdapterService::Stub::ListVersions, request);
    if (!page.ok()) break;
    for (const auto& version : page->versions())
      if (version.checkpoint_step() > 0) kept.insert(kept.begin(), version);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kept;
}

/// See ErrorInfo.fault.
std::string CauseName(const std::string& fault) {
  if (fault == "JOB") return "the job: what it asks for, or its base";
  if (fault == "DATA") return "the data";
  if (fault == "WORKER") return "a worker or its machine";
  if (fault == "STORE") return "the object store";
  return fault;
}

void PrintJob(Context& context, const Job& job) {
  if (context.json) return PrintJson(context, job);
  auto& out = context.out;
  out << job.name() << "  " << graft::v1::JobState_Name(job.state());
  if (job.desired_state() == graft::v1::CANCELLED && job.state() == graft::v1::RUNNING)
    out << " (cancelling)";
  if (job.desired_state() == graft::v1::PAUSED && job.state() == graft::v1::RUNNING)
    out << " (pausing)";
  out << "\n  adapter      " << job.spec().adapter() << " on " << job.spec().base() << ", method "
      << MethodName(job.spec().method()) << "\n";
  PrintFacts(context, job.facts());
  if (job.progress().total_steps() > 0) {
    out << "  progress     step " << job.progress().step() << " of " << job.progress().total_steps()
        << ", loss " << Fixed(job.progress().loss(), 4) << "\n";
  }
  for (const auto& e : job.evaluations()) {
    out << "  " << e.split() << std::string(13 - std::min<size_t>(12, e.split().size()), ' ')
        << FirstFigure(e) << " at step " << e.step() << "\n";
  }
  for (const auto& version : KeptCheckpoints(context, job))
    out << "  kept         " << version.name() << " of step " << version.checkpoint_step() << "\n";
  if (!job.trace_id().empty()) out << "  trace        " << job.trace_id() << "\n";
  if (!job.adapter_version().empty()) out << "  made         " << job.adapter_version() << "\n";
  PrintWarnings(context, job.warnings());
  if (job.state() == graft::v1::FAILED) {
    out << "  error        " << OnOneLine(job.error().message()) << "\n";
    PrintFaults(out, job.error(), std::string(15, ' '));
    if (!job.error().fault().empty())
      out << "  caused by    " << CauseName(job.error().fault()) << "\n";
  }
  PrintAttempts(context, job);
}

int Submit(Context& context, const SpecFlags& flags, const std::string& request_id, bool watch,
           bool check_only) {
  auto spec = BuildSpec(context, flags);
  if (!spec.ok()) return Refuse(context, spec.status());
  graft::v1::CreateJobRequest request;
  *request.mutable_spec() = *spec;
  request.set_request_id(request_id.empty() ? NewId(SystemClock().Now()) : request_id);
  request.set_validate_only(check_only);
  const auto job =
      context.client->Call(context.client->jobs(), &Stub::CreateJob, request,
                           check_only ? context.Timeout(kDataTimeout) : context.options.timeout);
  if (!job.ok()) return Refuse(context, job.status());
  if (check_only && !context.json) {
    context.out << "the job would be accepted\n";
    PrintFacts(context, job->facts());
    PrintWarnings(context, job->warnings());
    return kOk;
  }
  if (context.json) {
    PrintJson(context, *job);
  } else {
    context.out << "submitted " << job->name() << "\n";
    if (!watch) context.out << "follow it with: graft watch " << ShortName(job->name()) << "\n";
  }
  context.out.flush();
  return watch ? WatchJob(context, job->name(), 0) : kOk;
}

/// Runs a unary call and prints the job it returns.
template <typename Request>
int JobCall(Context& context,
            grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Job*),
            const std::string& id) {
  Request request;
  request.set_name(WithPrefix("jobs/", id));
  const auto job = context.client->Call(context.client->jobs(), method, request);
  if (!job.ok()) return Refuse(context, job.status());
  PrintJob(context, *job);
  return kOk;
}

int ListJobs(Context& context, const std::string& filter, int limit) {
  graft::v1::ListJobsRequest request;
  request.set_filter(filter);
  request.set_page_size(std::min(limit, 1000));
  Table table({"JOB", "STATE", "ADAPTER", "BASE", "METHOD", "PROGRESS", "CREATED"});
  int shown = 0;
  int64_t total = 0;
  do {
    const auto page = context.client->Call(context.client->jobs(), &Stub::ListJobs, request);
    if (!page.ok()) return Refuse(context, page.status());
    total = page->total_size();
    for (const Job& job : page->jobs()) {
      if (shown++ >= limit) break;
      if (context.json) {
        PrintJson(context, job);
        continue;
      }
      const auto& p = job.progress();
      table.Add({ShortName(job.name()), graft::v1::JobState_Name(job.state()), job.spec().adapter(),
                 job.spec().base(), MethodName(job.spec().method()),
                 p.total_steps() > 0
                     ? std::to_string(p.step()) + "/" + std::to_string(p.total_steps())
                     : "",
                 Age(SecondsSince(job.create_time()))});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && shown < limit);
  if (context.json) return kOk;
  table.Print(context.out);
  if (total > shown) context.out << "(" << shown << " of " << total << "; --limit shows more)\n";
  return kOk;
}

int Estimate(Context& context, const SpecFlags& flags) {
  auto spec = BuildSpec(context, flags);
  if (!spec.ok()) return Refuse(context, spec.status());
  graft::v1::EstimateJobRequest request;
  *request.mutable_spec() = *spec;
  const auto answer = context.client->Call(context.client->jobs(), &Stub::EstimateJob, request,
                                           context.Timeout(kDataTimeout));
  if (!answer.ok()) return Refuse(context, answer.status());
  if (context.json) {
    PrintJson(context, *answer);
  } else {
    PrintFacts(context, answer->facts());
    PrintWarnings(context, answer->warnings());
  }
  return kOk;
}

int Delete(Context& context, const std::string& id) {
  graft::v1::DeleteJobRequest request;
  request.set_name(WithPrefix("jobs/", id));
  const auto answer = context.client->Call(context.client->jobs(), &Stub::DeleteJob, request);
  if (!answer.ok()) return Refuse(context, answer.status());
  if (context.json) {
    PrintJson(context, *answer);
  } else {
    context.out << "deleted " << request.name() << "\n";
  }
  return kOk;
}

}  // namespace

void AddJobCommands(Command root, Action& run) {
  auto flags = std::make_shared<SpecFlags>();
  auto watch = std::make_shared<bool>(false);
  auto check = std::make_shared<bool>(false);
  Command submit = root.AddCommand("submit", "Submit a finetuning job");
  AddSpecFlags(submit, *flags);
  auto request_id = std::make_shared<std::string>();
  submit.Add("--request-id", *request_id,
             "Submitting again with the same id returns the first job; default: a new one");
  submit.AddFlag("--watch", *watch, "Follow the job; exits 1 if it fails");
  submit.AddFlag("--check-only", *check, "Check spec and data, start nothing");
  submit.OnChosen([&run, flags, request_id, watch, check] {
    run = [=](Context& context) { return Submit(context, *flags, *request_id, *watch, *check); };
  });

  Command estimate = root.AddCommand("estimate", "Say what a job would cost");
  AddSpecFlags(estimate, *flags);
  estimate.OnChosen(
      [&run, flags] { run = [flags](Context& context) { return Estimate(context, *flags); }; });

  auto filter = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(50);
  Command jobs = root.AddCommand("jobs", "List jobs, newest first");
  jobs.Add("--filter", *filter, "E.g. \"state=RUNNING adapter=support label.team=x\"");
  jobs.Add("--limit", *limit, "How many").Between(1, 1'000'000);
  jobs.OnChosen([&run, filter, limit] {
    run = [=](Context& context) { return ListJobs(context, *filter, *limit); };
  });

  auto id = std::make_shared<std::string>();
  const auto with_id = [&](const char* name, const char* help, Action action) {
    Command command = root.AddCommand(name, help);
    command.Add("id", *id, "Job id").Required();
    command.OnChosen([&run, action] { run = action; });
    return command;
  };
  with_id("job", "Show a job", [id](Context& c) { return JobCall(c, &Stub::GetJob, *id); });
  with_id("cancel", "Cancel a job", [id](Context& c) { return JobCall(c, &Stub::CancelJob, *id); });
  with_id("pause", "Pause a job", [id](Context& c) { return JobCall(c, &Stub::PauseJob, *id); });
  with_id("resume", "Resume a paused job",
          [id](Context& c) { return JobCall(c, &Stub::ResumeJob, *id); });
  with_id("delete", "Delete a job that has ended", [id](Context& c) { return Delete(c, *id); });
  auto after = std::make_shared<int64_t>(0);
  with_id("watch", "Follow a job until it ends; Ctrl-C stops watching, not the job",
          [id, after](Context& c) { return WatchJob(c, *id, *after); })
      .Add("--after-event", *after, "Begin behind this event");
}

}  // namespace graft::cli
