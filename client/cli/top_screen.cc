#include "client/cli/top_screen.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <tuple>

#include "client/cli/context.h"
#include "client/cli/progress.h"
#include "client/cli/table.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

using graft::v1::Job;

constexpr size_t kMostAdapters = 10;
constexpr size_t kMostEnded = 5;

bool IsOver(const Job& job) {
  return job.state() == graft::v1::SUCCEEDED || job.state() == graft::v1::FAILED ||
         job.state() == graft::v1::CANCELLED;
}

int RankOf(const Job& job) {
  switch (job.state()) {
    case graft::v1::RUNNING:
      return 0;
    case graft::v1::QUEUED:
      return 1;
    case graft::v1::VALIDATING:
      return 2;
    case graft::v1::PAUSED:
      return 3;
    default:
      return 4;
  }
}

/// As they run: running ones, then the queue, then what has ended, the newest first.
std::vector<Job> InOrder(std::vector<Job> jobs) {
  const auto key = [](const Job& job) {
    const int64_t created = job.create_time().seconds();
    return std::tuple(RankOf(job), -job.spec().priority(), IsOver(job) ? -created : created,
                      job.name());
  };
  std::ranges::sort(jobs, {}, key);
  const auto ended = std::ranges::find_if(jobs, IsOver);
  if (static_cast<size_t>(jobs.end() - ended) > kMostEnded)
    jobs.erase(ended + kMostEnded, jobs.end());
  return jobs;
}

std::string Heading(const TopFigures& figures) {
  std::map<graft::v1::JobState, int> jobs;
  for (const Job& job : figures.jobs) ++jobs[job.state()];
  int requests = 0;
  for (const auto& worker : figures.workers) requests += worker.requests();
  return "graft " + figures.server + "  " + figures.time +
         "  jobs: " + std::to_string(jobs[graft::v1::RUNNING]) + " running, " +
         std::to_string(jobs[graft::v1::QUEUED]) +
         " queued  requests: " + std::to_string(requests) +
         "  workers: " + std::to_string(figures.workers.size()) + "\n";
}

int64_t HeldFor(const graft::v1::Worker& worker, std::string_view kind) {
  for (const auto& use : worker.memory()) {
    if (use.kind() == kind) return use.bytes();
  }
  return 0;
}

void AddWorkers(const TopFigures& figures, std::ostream& out) {
  Table table({"WORKER", "DEVICE", "STATE", "FREE", "OF", "BASES", "ADAPTERS", "KV", "TRAINING",
               "REQUESTS", "JOBS"});
  for (const auto& worker : figures.workers) {
    std::string jobs;
    for (const std::string& job : worker.jobs()) jobs += (jobs.empty() ? "" : " ") + ShortName(job);
    table.Add({ShortName(worker.name()), worker.device(), worker.state(),
               Bytes(worker.free_bytes()), Bytes(worker.memory_bytes()),
               Bytes(HeldFor(worker, "bases")), Bytes(HeldFor(worker, "adapters")),
               Bytes(HeldFor(worker, "kv")), Bytes(HeldFor(worker, "training")),
               std::to_string(worker.requests()), jobs});
  }
  out << "\n";
  table.Print(out);
}

void AddJobs(const TopFigures& figures, std::ostream& out) {
  Table table({"JOB", "ADAPTER", "BASE", "STATE", "STEP", "LOSS", "TOKENS/S", "LEFT"});
  for (const Job& job : InOrder(figures.jobs)) {
    const auto& progress = job.progress();
    const bool has_steps = progress.total_steps() > 0;
    const bool runs = job.state() == graft::v1::RUNNING && has_steps;
    table.Add({ShortName(job.name()), job.spec().adapter(), job.spec().base(),
               graft::v1::JobState_Name(job.state()),
               has_steps
                   ? std::to_string(progress.step()) + "/" + std::to_string(progress.total_steps())
                   : "",
               has_steps ? Fixed(progress.loss(), 4) : "",
               runs ? Fixed(progress.tokens_per_second(), 0) : "",
               runs ? Duration(progress.eta_seconds()) : ""});
  }
  out << "\n";
  table.Print(out);
}

void AddAdapters(const TopFigures& figures, std::ostream& out) {
  Table table({"ADAPTER", "BASE", "LIVE", "NEWEST"});
  size_t shown = 0;
  for (const auto& adapter : figures.adapters) {
    if (++shown > kMostAdapters) break;
    const auto live = adapter.aliases().find("live");
    table.Add({ShortName(adapter.name()), adapter.base(),
               live == adapter.aliases().end() ? "none" : std::to_string(live->second),
               std::to_string(adapter.latest_version())});
  }
  out << "\n";
  table.Print(out);
  if (figures.adapters.size() > kMostAdapters)
    out << "and " << figures.adapters.size() - kMostAdapters << " more\n";
}

std::string FirstCharacters(std::string_view text, size_t most) {
  size_t bytes = 0;
  for (size_t count = 0; count < most && bytes < text.size(); ++count)
    bytes += std::max<size_t>(1, FirstCode(text.substr(bytes)).length);
  return std::string(text.substr(0, bytes));
}

/// At most so many characters of each line, and so many lines.
std::string Cut(const std::string& text, const ScreenSize& size) {
  std::istringstream lines(text);
  std::string cut, line;
  for (size_t row = 0; std::getline(lines, line); ++row) {
    if (size.rows > 0 && row + 1 >= size.rows) break;  // The cursor has the last one.
    cut += (size.columns > 0 ? FirstCharacters(line, size.columns) : line) + "\n";
  }
  return cut;
}

}  // namespace

std::string TopScreen(const TopFigures& figures, const ScreenSize& size) {
  std::ostringstream out;
  out << Heading(figures);
  if (!figures.fault.empty()) out << OnOneLine(figures.fault) << "\n";
  AddWorkers(figures, out);
  AddJobs(figures, out);
  AddAdapters(figures, out);
  return Cut(out.str(), size);
}

}  // namespace graft::cli
