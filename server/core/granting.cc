#include "server/core/granting.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "server/core/jobs.h"

namespace graft::server::core {
namespace {

constexpr int kMaxRounds = 100;  ///< Of looking for jobs behind those that are refused or wait.
constexpr size_t kMaxPassedOver = 256;  ///< Jobs that don't fit a worker; none behind is found.
constexpr size_t kMaxRunning = 1000;    ///< Of one worker that are looked at.
constexpr size_t kMaxAttempts = 1000;   ///< Of one job that are kept; only drains make so many.

/// The first `limit` jobs that a worker with these bases may run now, the most urgent first.
StatusOr<std::vector<Job>> Candidates(Transaction& tx, const std::vector<std::string>& bases,
                                      size_t limit) {
  std::vector<Job> candidates;
  // One query a base, so that thousands of queued jobs of other bases are never read.
  for (const std::string& base : std::set<std::string>(bases.begin(), bases.end())) {
    if (base.empty()) continue;
    JobQuery query;
    query.states = {JobState::kQueued};
    query.base = base;
    query.ready_at = tx.Now();
    query.order = JobQuery::Order::kRunFirst;
    query.limit = limit;
    GRAFT_ASSIGN_OR_RETURN(std::vector<Job> found, tx.ListJobs(query));
    std::move(found.begin(), found.end(), std::back_inserter(candidates));
  }
  std::sort(candidates.begin(), candidates.end(), [](const Job& a, const Job& b) {
    return std::tie(b.priority, a.create_time, a.key.id) <
           std::tie(a.priority, b.create_time, b.key.id);
  });
  return candidates;
}

/// A running job that makes the adapter of `job` on another base. One is enough to know: as long as
/// there is one, none on a third base begins.
StatusOr<std::optional<Job>> RunningRival(Transaction& tx, const Job& job) {
  JobQuery query;
  query.tenant = job.key.tenant;
  query.states = {JobState::kRunning};
  query.adapter = job.adapter;
  query.limit = 1;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> running, tx.ListJobs(query));
  if (running.empty() || running.front().base == job.base) return std::optional<Job>();
  return std::optional<Job>(std::move(running.front()));
}

/// Passes `job` over for a while; says once why.
Status Postpone(Transaction& tx, Job& job, const Job& rival, const LeaseOptions& options) {
  job.not_before = tx.Now() + options.rival_wait;
  JobEvent event;
  event.time = tx.Now();
  event.kind = EventKind::kWarning;
  event.text = "waits for the end of job " + rival.key.id + ", which makes the adapter " +
               job.adapter + " on the base " + rival.base;
  if (std::find(job.warnings.begin(), job.warnings.end(), event.text) != job.warnings.end())
    return tx.PutJob(job, {});
  if (job.warnings.size() < kMaxWarnings) job.warnings.push_back(event.text);
  return tx.PutJob(job, {std::move(event)});
}

/// Says why `job` waits, when it has waited a while: once for each kind of reason in a row.
Status NoteWait(Transaction& tx, Job& job, std::string why, const LeaseOptions& options) {
  if (tx.Now() - job.queue_time < options.tell_wait) return OkStatus();
  const auto kind = [](const std::string& text) {
    return std::pair(text.starts_with(kWaitsForMemory), text.starts_with(kWaitsForWorker));
  };
  const auto told = std::ranges::find_if(job.warnings | std::views::reverse, [&](const auto& text) {
    return kind(text) != std::pair(false, false);
  });
  const bool is_told = told != job.warnings.rend() && kind(*told) == kind(why);
  if (is_told || job.warnings.size() >= kMaxWarnings) return OkStatus();
  JobEvent event;
  event.time = tx.Now();
  event.kind = EventKind::kWarning;
  event.text = why;
  job.warnings.push_back(std::move(why));
  return tx.PutJob(job, {std::move(event)});
}

/// What of a worker's memory and time a round of grants has left.
struct Granting {
  const WorkerAsk& ask;
  std::optional<WorkerMemory> memory;
  std::set<JobKey> passed_over;  ///< They don't fit, and hold nobody back.
  bool is_kept = false;          ///< For one that will fit.
  size_t running = 0;            ///< Jobs that the worker has.
};

/// Counts what the worker has, and takes of its memory what it can't have told yet: a job has its
/// memory only once its data are read, long after it was granted.
Status CountRunning(Transaction& tx, Granting& granting) {
  JobQuery query;
  query.states = {JobState::kRunning};
  query.lease_worker = granting.ask.worker;
  query.limit = kMaxRunning;
  GRAFT_ASSIGN_OR_RETURN(const std::vector<Job> running, tx.ListJobs(query));
  granting.running = running.size();
  for (const Job& job : running) {
    if (!job.lease.holds_memory) Take(job, *granting.memory);
  }
  return OkStatus();
}

/// Whether `job` may go to the worker now; else notes why not, and what that is for those behind
/// it.
StatusOr<bool> HasRoom(Transaction& tx, Job& job, Granting& granting, const LeaseOptions& options) {
  if (!granting.memory) return true;
  const Room room = RoomFor(job, *granting.memory);
  if (room == Room::kFits) return true;
  if (room == Room::kLater) granting.is_kept = granting.running > 0;
  granting.passed_over.insert(job.key);
  std::string why;
  if (room == Room::kLater) {
    why = WhyItWaits(job, granting.ask.worker, *granting.memory);
  } else {
    const Prospect prospect = ProspectOf(job, granting.ask.places);
    // It waits for one that could hold it as any job waits for its turn.
    if (prospect == Prospect::kSome || prospect == Prospect::kUnknown) return false;
    why = WhyNoneHolds(job, granting.ask.places);
  }
  GRAFT_RETURN_IF_ERROR(NoteWait(tx, job, std::move(why), options));
  return false;
}

/// QUEUED -> RUNNING.
Status Grant(Transaction& tx, Job& job, const std::string& worker, const LeaseOptions& options) {
  const TimeUs now = tx.Now();
  JobEvent event = ChangeState(job, JobState::kRunning, "LEASED", now);
  job.lease.worker = worker;
  ++job.lease.token;
  job.lease.last_progress = now;
  job.lease.expiry = now + std::min(options.duration, options.stall_after);
  job.lease.step = job.checkpoint.step;
  job.lease.activity = 0;
  job.lease.holds_memory = false;
  if (job.start_time == 0) job.start_time = now;
  Attempt attempt;
  attempt.number = job.attempts.empty() ? 1 : job.attempts.back().number + 1;
  attempt.worker = worker;
  attempt.start_time = now;
  attempt.first_step = job.checkpoint.step;
  if (job.attempts.size() >= kMaxAttempts) job.attempts.erase(job.attempts.begin());
  job.attempts.push_back(attempt);
  return tx.PutJob(job, {std::move(event)});
}

}  // namespace

StatusOr<AcquiredLeases> AcquireLeases(Transaction& tx, const WorkerAsk& ask,
                                       const LeaseOptions& options) {
  AcquiredLeases acquired;
  Granting granting{.ask = ask, .memory = ask.memory, .passed_over = {}};
  if (granting.memory) GRAFT_RETURN_IF_ERROR(CountRunning(tx, granting));
  const auto wanted = static_cast<size_t>(std::max(ask.max_leases, 0));
  const auto is_over = [&] { return acquired.granted.size() >= wanted || granting.is_kept; };
  for (int round = 0; round < kMaxRounds && !is_over(); ++round) {
    const size_t passed_over = granting.passed_over.size();
    if (passed_over > kMaxPassedOver) break;
    // Twice as many each time, so that those behind many that don't fit are soon found.
    GRAFT_ASSIGN_OR_RETURN(
        std::vector<Job> candidates,
        Candidates(tx, ask.bases, wanted - acquired.granted.size() + 2 * passed_over));
    std::erase_if(candidates,
                  [&](const Job& job) { return granting.passed_over.contains(job.key); });
    // Those of the last round were granted, or are passed over from now on.
    if (candidates.empty()) break;
    for (Job& job : candidates) {
      if (is_over()) break;
      const Status possible = CheckResult(tx, job.key.tenant, job.adapter, job.base);
      if (possible.code() == StatusCode::kFailedPrecondition) {
        JobEvent event = Fail(job, ToJobError(possible), tx.Now());
        GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
        acquired.refused.push_back(std::move(job));
        continue;
      }
      GRAFT_RETURN_IF_ERROR(possible);
      GRAFT_ASSIGN_OR_RETURN(const std::optional<Job> rival, RunningRival(tx, job));
      if (rival) {
        GRAFT_RETURN_IF_ERROR(Postpone(tx, job, *rival, options));
        continue;
      }
      GRAFT_ASSIGN_OR_RETURN(const bool has_room, HasRoom(tx, job, granting, options));
      if (!has_room) continue;
      GRAFT_RETURN_IF_ERROR(Grant(tx, job, ask.worker, options));
      if (granting.memory) Take(job, *granting.memory);
      ++granting.running;
      acquired.granted.push_back(std::move(job));
    }
  }
  return acquired;
}

}  // namespace graft::server::core
