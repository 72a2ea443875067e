#include "server/core/granting.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <utility>

#include "server/core/jobs.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxWork = 100;  ///< Jobs that a look finds something to do about: of one write.
/// Jobs that one look passes over. Each is a row that is read and parsed, some 25 us: a worker's
/// look through 10,000 would take a quarter of a second, at each change and each second that it
/// waits. As many are read of each of its bases.
constexpr size_t kMaxPassedOver = 256;
constexpr size_t kMaxPassedOverInFront = 64;  ///< Of these, at the queue's front.
constexpr size_t kMaxRunning = 1000;          ///< Of one worker that are looked at.
constexpr size_t kMaxAttempts = 1000;  ///< Of one job that are kept; only drains make so many.

/// The first `limit` jobs behind `place` (none: of all) that a worker with these bases may run now,
/// the most urgent first.
StatusOr<std::vector<Job>> Candidates(Transaction& tx, const std::vector<std::string>& bases,
                                      const std::optional<RunPlace>& place, size_t limit) {
  std::vector<Job> candidates;
  // One query a base, so that thousands of queued jobs of other bases are never read.
  for (const std::string& base : std::set<std::string>(bases.begin(), bases.end())) {
    if (base.empty()) continue;
    JobQuery query;
    query.states = {JobState::kQueued};
    query.base = base;
    query.ready_at = tx.Now();
    query.order = JobQuery::Order::kRunFirst;
    query.after_place = place;
    query.limit = limit;
    GRAFT_ASSIGN_OR_RETURN(std::vector<Job> found, tx.ListJobs(query));
    std::move(found.begin(), found.end(), std::back_inserter(candidates));
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Job& a, const Job& b) { return RunOrder(a) < RunOrder(b); });
  // Behind these, a base of which there are more lacks some.
  if (candidates.size() > limit) candidates.resize(limit);
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

/// What of a worker's memory and time a round of grants has left.
struct Granting {
  const WorkerAsk& ask;
  std::optional<WorkerMemory> memory;
  size_t wanted = 0, granted = 0;
  size_t running = 0;    ///< Jobs that the worker has.
  bool is_kept = false;  ///< For one that will fit.
  bool is_over() const { return granted >= wanted || is_kept; }
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

/// Which kind of wait a warning tells of, if of one.
enum class Wait { kNone, kForMemory, kForWorker };
Wait WaitOf(const std::string& warning) {
  if (warning.starts_with(kWaitsForMemory)) return Wait::kForMemory;
  return warning.starts_with(kWaitsForWorker) ? Wait::kForWorker : Wait::kNone;
}

/// Whether it says now that it waits so: when it has waited a while, once for each kind in a row.
bool IsToTell(const Job& job, Wait wait, TimeUs now, const LeaseOptions& options) {
  if (now - job.queue_time < options.tell_wait || job.warnings.size() >= kMaxWarnings) return false;
  const auto told = std::ranges::find_if(job.warnings | std::views::reverse, [](const auto& text) {
    return WaitOf(text) != Wait::kNone;
  });
  return told == job.warnings.rend() || WaitOf(*told) != wait;
}

/// What a worker's poll makes of a job.
struct Decision {
  enum class Kind {
    kPass,  ///< Nothing.
    kGrant,
    kRefuse,    ///< It can't succeed any more; `refusal` says why.
    kPostpone,  ///< For a rival's end, of which `why` tells.
    kTell,      ///< It waits, and hasn't said `why` yet.
  } kind = Kind::kPass;
  Status refusal = {};
  std::string why = {};
};

/// Of a job that has no room.
Decision WithoutRoom(const Job& job, Room room, const Granting& granting, TimeUs now,
                     const LeaseOptions& options) {
  if (room == Room::kLater) {
    if (!IsToTell(job, Wait::kForMemory, now, options)) return {};
    return {.kind = Decision::Kind::kTell,
            .why = WhyItWaits(job, granting.ask.worker, *granting.memory)};
  }
  if (!IsToTell(job, Wait::kForWorker, now, options)) return {};
  const Prospect prospect = ProspectOf(job, granting.ask.places);
  // It waits for one that could hold it as any job waits for its turn.
  if (prospect == Prospect::kSome || prospect == Prospect::kUnknown) return {};
  return {.kind = Decision::Kind::kTell, .why = WhyNoneHolds(job, granting.ask.places)};
}

/// Reads only; notes in `granting` what the decision is for those behind it.
StatusOr<Decision> Decide(Transaction& tx, const Job& job, Granting& granting,
                          const LeaseOptions& options) {
  const Status possible = CheckResult(tx, job.key.tenant, job.adapter, job.base);
  if (possible.code() == StatusCode::kFailedPrecondition)
    return Decision{.kind = Decision::Kind::kRefuse, .refusal = possible};
  GRAFT_RETURN_IF_ERROR(possible);
  const Room room = granting.memory ? RoomFor(job, *granting.memory) : Room::kFits;
  const bool would_keep = room == Room::kLater && granting.running > 0;
  // Behind the room: it reads more, and what neither goes nor holds others back needn't ask.
  if (room == Room::kFits || would_keep) {
    GRAFT_ASSIGN_OR_RETURN(const std::optional<Job> rival, RunningRival(tx, job));
    if (rival) {
      return Decision{.kind = Decision::Kind::kPostpone,
                      .why = "waits for the end of job " + rival->key.id +
                             ", which makes the adapter " + job.adapter + " on the base " +
                             rival->base};
    }
  }
  if (room != Room::kFits) {
    granting.is_kept = would_keep;
    return WithoutRoom(job, room, granting, tx.Now(), options);
  }
  if (granting.memory) Take(job, *granting.memory);
  ++granting.running;
  ++granting.granted;
  return Decision{.kind = Decision::Kind::kGrant};
}

/// Writes the job with its warning, if that is new.
Status Warn(Transaction& tx, Job& job, std::string why) {
  const bool is_known = std::ranges::find(job.warnings, why) != job.warnings.end();
  if (is_known || job.warnings.size() >= kMaxWarnings) return tx.PutJob(job, {});
  JobEvent event;
  event.time = tx.Now();
  event.kind = EventKind::kWarning;
  event.text = why;
  job.warnings.push_back(std::move(why));
  return tx.PutJob(job, {std::move(event)});
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

StatusOr<Granting> Begin(Transaction& tx, const WorkerAsk& ask) {
  Granting granting{.ask = ask, .memory = ask.memory};
  granting.wanted = static_cast<size_t>(std::max(ask.max_leases, 0));
  if (granting.memory) GRAFT_RETURN_IF_ERROR(CountRunning(tx, granting));
  return granting;
}

bool MayRunOn(const Job& job, const WorkerAsk& ask, TimeUs now) {
  return job.state == JobState::kQueued && job.not_before <= now &&
         std::ranges::find(ask.bases, job.base) != ask.bases.end();
}

/// One look through the queue.
struct Look {
  Granting granting;
  std::vector<JobKey> jobs = {};       ///< That something is to be done about.
  std::optional<RunPlace> place = {};  ///< It goes on behind it.
  size_t seen = 0;
  bool is_through = false;  ///< None is behind `place`.
  bool is_over() const { return granting.is_over() || is_through || jobs.size() >= kMaxWork; }
};

/// Goes on until the look is over or has passed over so many.
Status PassOver(Transaction& tx, size_t most, const LeaseOptions& options, Look& look) {
  Granting& granting = look.granting;
  const auto left = [&] { return most - std::min(most, look.seen - look.jobs.size()); };
  while (!look.is_over() && left() > 0) {
    // Many times as many each time, so that those behind many that don't fit are soon found.
    const size_t limit = std::min(granting.wanted - granting.granted + 8 * look.seen, left());
    GRAFT_ASSIGN_OR_RETURN(const std::vector<Job> candidates,
                           Candidates(tx, granting.ask.bases, look.place, limit));
    for (const Job& job : candidates) {
      if (look.is_over()) return OkStatus();
      GRAFT_ASSIGN_OR_RETURN(const Decision decision, Decide(tx, job, granting, options));
      if (decision.kind != Decision::Kind::kPass) look.jobs.push_back(job.key);
      ++look.seen;
      // The next look must find again what the worker is kept for.
      if (!granting.is_kept) look.place = RunPlace{job.priority, job.create_time, job.key};
    }
    look.is_through = candidates.size() < limit && !granting.is_over();
  }
  return OkStatus();
}

}  // namespace

StatusOr<Work> FindWork(Transaction& tx, const WorkerAsk& ask, const LeaseOptions& options) {
  GRAFT_ASSIGN_OR_RETURN(Granting granting, Begin(tx, ask));
  Look look{.granting = std::move(granting)};
  GRAFT_RETURN_IF_ERROR(PassOver(tx, kMaxPassedOverInFront, options, look));
  std::optional<QueueWalk> walk = ask.walk;
  if (!look.is_over()) {
    const bool is_ahead = walk && RunOrder(*look.place) < RunOrder(walk->place);
    if (!is_ahead) walk = QueueWalk{*look.place, 0};
    look.place = walk->place;
    const size_t granted = look.granting.granted;
    GRAFT_RETURN_IF_ERROR(PassOver(tx, kMaxPassedOver, options, look));
    const bool has_found = look.granting.granted > granted || look.granting.is_kept;
    walk = QueueWalk{*look.place, walk->looks + (has_found ? -1 : 1)};
  }
  if (look.is_through || (walk && walk->looks <= 0)) walk.reset();
  return Work{.jobs = std::move(look.jobs), .walk = std::move(walk)};
}

StatusOr<AcquiredLeases> AcquireLeases(Transaction& tx, const WorkerAsk& ask,
                                       const std::vector<JobKey>& work,
                                       const LeaseOptions& options) {
  AcquiredLeases acquired;
  GRAFT_ASSIGN_OR_RETURN(Granting granting, Begin(tx, ask));
  for (const JobKey& key : work) {
    if (granting.is_over()) break;
    StatusOr<Job> found = tx.GetJob(key);
    if (found.status().code() == StatusCode::kNotFound) continue;
    GRAFT_ASSIGN_OR_RETURN(Job job, std::move(found));
    if (!MayRunOn(job, ask, tx.Now())) continue;
    GRAFT_ASSIGN_OR_RETURN(Decision decision, Decide(tx, job, granting, options));
    switch (decision.kind) {
      case Decision::Kind::kPass:
        break;
      case Decision::Kind::kGrant:
        GRAFT_RETURN_IF_ERROR(Grant(tx, job, ask.worker, options));
        acquired.granted.push_back(std::move(job));
        break;
      case Decision::Kind::kRefuse: {
        JobEvent event = Fail(job, ToJobError(decision.refusal), tx.Now());
        GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
        acquired.refused.push_back(std::move(job));
        break;
      }
      case Decision::Kind::kPostpone:
        job.not_before = tx.Now() + options.rival_wait;
        GRAFT_RETURN_IF_ERROR(Warn(tx, job, std::move(decision.why)));
        break;
      case Decision::Kind::kTell:
        GRAFT_RETURN_IF_ERROR(Warn(tx, job, std::move(decision.why)));
        break;
    }
  }
  return acquired;
}

}  // namespace graft::server::core
