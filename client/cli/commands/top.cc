#include <sys/ioctl.h>
#include <unistd.h>

#include <ctime>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "client/cli/commands/commands.h"
#include "client/cli/interrupt.h"
#include "client/cli/top_screen.h"

namespace graft::cli {
namespace {

/// Another screen without a cursor, and back.
constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";
constexpr const char* kHome = "\x1b[H\x1b[J";

struct TopFlags {
  double seconds = 2;
  bool once = false;
};

std::string Clock() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[16];
  return {text, std::strftime(text, sizeof text, "%H:%M:%S", &local)};
}

ScreenSize SizeOfTerminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

/// Asks for all that is shown; what was read stays where the server is away.
Status Look(Context& context, TopFigures& figures) {
  client::Client& client = *context.client;
  figures.time = Clock();
  GRAFT_ASSIGN_OR_RETURN(const auto workers,
                         client.Call(client.workers(), &graft::v1::WorkerService::Stub::ListWorkers,
                                     graft::v1::ListWorkersRequest()));
  std::vector<graft::v1::Job> jobs;
  graft::v1::ListJobsRequest list;
  list.set_page_size(1000);
  list.set_filter("state=RUNNING state=QUEUED state=VALIDATING state=PAUSED");
  for (const bool wants_ended : {false, true}) {
    if (wants_ended) {
      list.set_page_size(20);
      list.set_filter("state=SUCCEEDED state=FAILED state=CANCELLED");
    }
    GRAFT_ASSIGN_OR_RETURN(
        const auto page,
        client.Call(client.jobs(), &graft::v1::FinetuningService::Stub::ListJobs, list));
    jobs.insert(jobs.end(), page.jobs().begin(), page.jobs().end());
  }
  graft::v1::ListAdaptersRequest all;
  all.set_page_size(1000);
  GRAFT_ASSIGN_OR_RETURN(
      const auto adapters,
      client.Call(client.adapters(), &graft::v1::AdapterService::Stub::ListAdapters, all));
  figures.workers = {workers.workers().begin(), workers.workers().end()};
  figures.jobs = std::move(jobs);
  figures.adapters = {adapters.adapters().begin(), adapters.adapters().end()};
  return OkStatus();
}

void PrintAll(Context& context, const TopFigures& figures) {
  for (const auto& worker : figures.workers) PrintJson(context, worker);
  for (const auto& job : figures.jobs) PrintJson(context, job);
  for (const auto& adapter : figures.adapters) PrintJson(context, adapter);
}

/// Goes on until a signal ends the process, or nobody reads any more.
int Follow(Context& context, const TopFlags& flags, TopFigures& figures) {
  std::unique_ptr<TidyOnInterrupt> tidy;
  if (context.terminal) {
    context.out << kEnter << std::flush;
    tidy = std::make_unique<TidyOnInterrupt>([&context] { context.out << kLeave << std::flush; });
  }
  while (context.out) {
    if (context.json) {
      PrintAll(context, figures);
    } else {
      const ScreenSize size = context.terminal ? SizeOfTerminal() : ScreenSize{};
      context.out << (context.terminal ? kHome : "") << TopScreen(figures, size)
                  << (context.terminal ? "" : "\n");
    }
    context.out << std::flush;
    std::this_thread::sleep_for(std::chrono::duration<double>(flags.seconds));
    figures.fault = Look(context, figures).message();
  }
  return kOk;
}

int Top(Context& context, const TopFlags& flags) {
  TopFigures figures;
  figures.server = context.options.server;
  if (const Status status = Look(context, figures); !status.ok()) return Refuse(context, status);
  if (!flags.once) return Follow(context, flags, figures);
  if (context.json) {
    PrintAll(context, figures);
  } else {
    context.out << TopScreen(figures, {});
  }
  return kOk;
}

}  // namespace

void AddTopCommand(Command root, Action& run) {
  auto flags = std::make_shared<TopFlags>();
  Command command = root.AddCommand(
      "top", "Shows jobs, requests, memory and adapters as they are now, until it is interrupted");
  command.Add("--seconds", flags->seconds, "Between two looks").ShowDefault();
  command.AddFlag("--once", flags->once, "One look, then the end");
  command.OnChosen([flags, &run] {
    run = [flags](Context& context) -> int {
      if (!(flags->seconds >= 0.1 && flags->seconds <= 3600))
        return Refuse(context, UsageError("--seconds must be from 0.1 to 3600"));
      return Top(context, *flags);
    };
  });
}

}  // namespace graft::cli
