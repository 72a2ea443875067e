#include "server/core/leases.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/fault.h"
#include "common/base/utf8.h"
#include "server/core/jobs.h"
#include "server/core/registry.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxEvaluations = 100;
constexpr size_t kMaxWarnings = 100;
constexpr size_t kMaxExpired = 1000;
constexpr int kMaxRounds = 100;  ///< Of looking for jobs behind those that are refused or wait.
constexpr size_t kMaxPassedOver = 256;  ///< Jobs that don't fit a worker; none behind is found.
constexpr size_t kMaxEndMessage = 500;
constexpr size_t kMaxAttempts = 1000;  ///< Of one job that are kept; only drains make so many.

bool Holds(const Job& job, const LeaseReport& report) {
  return job.state == JobState::kRunning && job.lease.token == report.token &&
         !job.attempts.empty();
}

TimeUs ExpiryOf(const Job& job, const LeaseOptions& options, TimeUs now) {
  return std::min(now + options.duration, job.lease.last_progress + options.stall_after);
}

bool IsWorkersToTell(const JobEvent& event) {
  return event.kind != EventKind::kStateChange && event.kind != EventKind::kVersionCreated;
}

/// A resumed attempt evaluates again what an earlier one had evaluated after its last checkpoint.
void Keep(std::vector<Evaluation>& evaluations, const Evaluation& evaluation) {
  std::erase_if(evaluations, [&](const Evaluation& earlier) {
    return earlier.step == evaluation.step && earlier.split == evaluation.split;
  });
  evaluations.push_back(evaluation);
  if (evaluations.size() > kMaxEvaluations) evaluations.erase(evaluations.begin());
}

/// A long run has more evaluations than are kept, but those of the state that `made` is never go.
void KeepOwn(const Version& told, Version& made) {
  for (const Evaluation& own : told.evaluations) {
    const bool there = std::any_of(
        made.evaluations.begin(), made.evaluations.end(),
        [&](const Evaluation& kept) { return kept.step == own.step && kept.split == own.split; });
    if (own.step == told.kept_step && !there)
      made.evaluations.insert(made.evaluations.begin(), own);
  }
}

/// Takes over what the worker reported; returns the events to append.
std::vector<JobEvent> Record(Job& job, const LeaseReport& report, TimeUs now) {
  if (report.step > job.lease.step || report.activity > job.lease.activity)
    job.lease.last_progress = now;
  job.lease.step = std::max(job.lease.step, report.step);
  job.lease.activity = std::max(job.lease.activity, report.activity);
  if (!report.resolved_precision.empty()) job.resolved_precision = report.resolved_precision;
  if (!report.checkpoint.key.empty()) {
    job.checkpoint = report.checkpoint;
    Attempt& attempt = job.attempts.back();
    if (report.checkpoint.step > attempt.first_step) attempt.made_checkpoint = true;
  }
  std::vector<JobEvent> events;
  std::copy_if(report.events.begin(), report.events.end(), std::back_inserter(events),
               &IsWorkersToTell);
  for (JobEvent& event : events) {
    event.time = now;
    if (event.kind == EventKind::kProgress) job.progress = event.progress;
    if (event.kind == EventKind::kEvaluation) Keep(job.evaluations, event.evaluation);
    if (event.kind == EventKind::kWarning && job.warnings.size() < kMaxWarnings) {
      job.warnings.push_back(event.text);
    }
  }
  return events;
}

bool IsNoOnesFault(const Attempt& attempt) {
  return attempt.end_reason == kReasonDrained || attempt.end_reason == kReasonPaused ||
         attempt.end_reason == kReasonNoRoom;
}

/// The attempts since the last one that made a checkpoint, oldest first.
std::vector<const Attempt*> Fruitless(const Job& job) {
  std::vector<const Attempt*> fruitless;
  for (auto attempt = job.attempts.rbegin();
       attempt != job.attempts.rend() && !attempt->made_checkpoint; ++attempt) {
    if (!IsNoOnesFault(*attempt)) fruitless.push_back(&*attempt);
  }
  std::reverse(fruitless.begin(), fruitless.end());
  return fruitless;
}

/// Fruitless attempts as a failure, if they are too many.
std::optional<JobError> TooManyAttempts(const std::vector<const Attempt*>& fruitless,
                                        const LeaseOptions& options) {
  if (static_cast<int>(fruitless.size()) < options.max_attempts_without_checkpoint) return {};
  std::string reasons;
  for (const Attempt* attempt : fruitless) {
    reasons += (reasons.empty() ? "" : "; ") + ("attempt " + std::to_string(attempt->number)) +
               " on " + attempt->worker + ": " + attempt->end_reason +
               (attempt->end_message.empty() ? "" : " (" + attempt->end_message + ")");
  }
  return JobError{StatusCode::kUnavailable,
                  std::to_string(fruitless.size()) +
                      " attempts in a row ended before their first checkpoint: " + reasons,
                  {{"TOO_MANY_ATTEMPTS", {}, 0, {}, {}}},
                  0,
                  std::string(FaultName(Fault::kWorker))};
}

/// How long a job waits whose `num_fruitless`-th attempt in a row met a fault.
TimeUs Backoff(size_t num_fruitless, const LeaseOptions& options) {
  TimeUs wait = options.backoff;
  for (size_t i = 1; i < num_fruitless && wait < options.max_backoff; ++i) wait *= 4;
  return std::min(wait, options.max_backoff);
}

/// Ends the attempt without a result: back to the queue, unless the user wished otherwise or it
/// failed too often.
JobEvent GiveBack(Job& job, std::string_view reason, const LeaseOptions& options, TimeUs now,
                  const JobError& error = {}) {
  CloseAttempt(job, reason, now);
  if (!job.attempts.empty()) {
    job.attempts.back().end_message = Printable(error.message, kMaxEndMessage);
  }
  if (job.desired_state == JobState::kCancelled) {
    return ChangeState(job, JobState::kCancelled, kReasonCancelled, now);
  }
  if (job.desired_state == JobState::kPaused) {
    return ChangeState(job, JobState::kPaused, kReasonPaused, now);
  }
  const auto fruitless = Fruitless(job);
  if (auto failure = TooManyAttempts(fruitless, options)) {
    job.error = std::move(failure);
    if (!error.fault.empty()) job.error->fault = error.fault;
    JobEvent event = ChangeState(job, JobState::kFailed, "TOO_MANY_ATTEMPTS", now);
    event.error = job.error;
    return event;
  }
  JobEvent event = ChangeState(job, JobState::kQueued, reason, now);
  if (reason == kReasonRetry) job.not_before = now + Backoff(fruitless.size(), options);
  if (error.code != StatusCode::kOk) event.error = error;
  return event;
}

/// Makes the version, and the alias if asked, and ends the job.
Status Succeed(Transaction& tx, Job& job, const Completion& completion,
               std::vector<JobEvent>& events) {
  for (const Evaluation& evaluation : completion.version.evaluations) {
    Keep(job.evaluations, evaluation);
  }
  Version version = completion.version;
  version.tenant = job.key.tenant;
  version.adapter = job.adapter;
  version.job_id = job.key.id;
  version.base = job.base;
  version.base_proved = true;
  version.request_id.clear();
  version.evaluations = job.evaluations;
  KeepOwn(completion.version, version);
  StatusOr<Version> made = AddVersion(tx, std::move(version), completion.promote);
  if (!made.ok()) {
    if (made.status().code() != StatusCode::kFailedPrecondition) return made.status();
    // It can never be stored, so a worker that retried would retry for ever.
    events.push_back(Fail(job, ToJobError(made.status()), tx.Now()));
    return OkStatus();
  }
  // The last progress that came may be of an earlier step, and nothing is left to do.
  job.progress.step = std::max(job.progress.step, completion.report.step);
  job.progress.eta_seconds = 0;
  job.version_number = made->number;
  job.version_sha256 = made->sha256;
  JobEvent event;
  event.time = tx.Now();
  event.kind = EventKind::kVersionCreated;
  event.text = "adapters/" + made->adapter + "/versions/" + std::to_string(made->number);
  event.sha256 = made->sha256;
  event.promoted = completion.promote;
  events.push_back(std::move(event));
  events.push_back(ChangeState(job, JobState::kSucceeded, "COMPLETED", tx.Now()));
  return OkStatus();
}

/// True if the job is as this completion left it: its answer was lost on its way.
bool IsRepeated(const Job& job, const Completion& completion) {
  if (job.lease.token != completion.report.token || job.attempts.empty()) return false;
  const std::string& reason = job.attempts.back().end_reason;
  switch (completion.outcome) {
    case Outcome::kSucceeded:
      return job.state == JobState::kSucceeded && job.version_sha256 == completion.version.sha256;
    case Outcome::kFailed:
      return job.state == JobState::kFailed && reason == "ERROR";
    case Outcome::kRetry:
      return reason == kReasonRetry;
    case Outcome::kReleased:
      return reason == kReasonDrained || reason == kReasonNoRoom ||
             (completion.error.code != StatusCode::kOk && job.state == JobState::kFailed);
    case Outcome::kPaused:
      return reason == kReasonPaused || reason == kReasonDrained;
    case Outcome::kCancelled:
      return reason == kReasonCancelled || reason == kReasonDrained;
  }
  return false;
}

/// What the worker stopped for, if it is still wished; else back to the queue, by no one's fault.
JobEvent StopAs(Job& job, JobState wished, std::string_view reason, const LeaseOptions& options,
                TimeUs now) {
  if (job.desired_state == wished) return ChangeState(job, wished, reason, now);
  return GiveBack(job, kReasonDrained, options, now);
}

/// Back to the queue; a job that doesn't fit anywhere would come back for ever.
JobEvent Release(Job& job, const Completion& completion, const LeaseOptions& options, TimeUs now) {
  const JobError& error = completion.error;
  if (error.code == StatusCode::kOk) return GiveBack(job, kReasonDrained, options, now);
  const int64_t largest = completion.largest_worker_bytes;
  const bool fits_nowhere = largest > 0 && job.facts.peak_memory_bytes > largest;
  if (fits_nowhere && job.desired_state == JobState::kRunning) return Fail(job, error, now);
  JobEvent event = GiveBack(job, kReasonNoRoom, options, now, error);
  // What it lacks may stand in no account that it is granted by.
  const size_t refusals = RefusalsInARow(job);
  if (refusals > 1 || completion.facts.peak_memory_bytes == 0)
    job.not_before = now + Backoff(refusals, options);
  return event;
}

void Measure(JobFacts& facts, const JobFacts& measured) {
  const auto take = [](auto& field, auto value) {
    if (value != 0) field = value;
  };
  take(facts.train_examples, measured.train_examples);
  take(facts.validation_examples, measured.validation_examples);
  take(facts.test_examples, measured.test_examples);
  take(facts.train_tokens, measured.train_tokens);
  take(facts.total_steps, measured.total_steps);
  take(facts.trainable_parameters, measured.trainable_parameters);
  take(facts.base_parameters, measured.base_parameters);
  take(facts.artifact_bytes, measured.artifact_bytes);
  take(facts.peak_memory_bytes, measured.peak_memory_bytes);
  take(facts.seconds, measured.seconds);
  take(facts.labels, measured.labels);
  take(facts.truncated_examples, measured.truncated_examples);
}

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

/// Says once that `job` waits for memory, when it has waited a while.
Status NoteWait(Transaction& tx, Job& job, std::string why, const LeaseOptions& options) {
  if (tx.Now() - job.queue_time < options.tell_wait) return OkStatus();
  const bool is_told = std::ranges::any_of(job.warnings, [](const std::string& warning) {
    return warning.starts_with(kWaitsForMemory);
  });
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
};

/// Whether `job` may go to the worker now; else notes why not, and what that is for those behind
/// it.
StatusOr<bool> HasRoom(Transaction& tx, Job& job, Granting& granting, const LeaseOptions& options) {
  if (!granting.memory) return true;
  const Room room = RoomFor(job, *granting.memory);
  if (room == Room::kFits) return true;
  if (room == Room::kLater) {
    JobQuery running;
    running.states = {JobState::kRunning};
    running.lease_worker = granting.ask.worker;
    GRAFT_ASSIGN_OR_RETURN(const int64_t others, tx.CountJobs(running));
    granting.is_kept = others > 0;
  }
  granting.passed_over.insert(job.key);
  // Another worker is large enough for it.
  const bool is_others =
      room == Room::kNever && job.facts.peak_memory_bytes <= granting.memory->largest_elsewhere;
  if (is_others) return false;
  GRAFT_RETURN_IF_ERROR(
      NoteWait(tx, job, WhyItWaits(job, granting.ask.worker, *granting.memory), options));
  return false;
}

/// QUEUED -> RUNNING.
Status Grant(Transaction& tx, Job& job, const std::string& worker, const LeaseOptions& options) {
  const TimeUs now = tx.Now();
  JobEvent event = ChangeState(job, JobState::kRunning, "LEASED", now);
  job.lease.worker = worker;
  ++job.lease.token;
  job.lease.last_progress = now;
  job.lease.expiry = ExpiryOf(job, options, now);
  job.lease.step = job.checkpoint.step;
  job.lease.activity = 0;
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
      acquired.granted.push_back(std::move(job));
    }
  }
  return acquired;
}

StatusOr<LeaseVerdict> RenewLease(Transaction& tx, const LeaseReport& report,
                                  const LeaseOptions& options) {
  StatusOr<Job> found = tx.GetJob(report.key);
  if (!found.ok() && found.status().code() == StatusCode::kNotFound) {
    return LeaseVerdict{true, JobState::kCancelled, {}};
  }
  GRAFT_ASSIGN_OR_RETURN(Job job, std::move(found));
  if (!Holds(job, report)) return LeaseVerdict{true, JobState::kCancelled, {}};
  const std::string before = job.checkpoint.key;
  std::vector<JobEvent> events = Record(job, report, tx.Now());
  job.lease.expiry = ExpiryOf(job, options, tx.Now());
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, std::move(events)));
  LeaseVerdict verdict{false, job.desired_state, {}};
  if (before != job.checkpoint.key) verdict.replaced_checkpoint = before;
  return verdict;
}

StatusOr<Job> CompleteLease(Transaction& tx, const Completion& completion,
                            const LeaseOptions& options) {
  const LeaseReport& report = completion.report;
  StatusOr<Job> found = tx.GetJob(report.key);
  if (!found.ok() && found.status().code() == StatusCode::kNotFound) {
    return AbortedError("job " + report.key.id + " was deleted");
  }
  GRAFT_ASSIGN_OR_RETURN(Job job, std::move(found));
  if (!Holds(job, report)) {
    if (IsRepeated(job, completion)) return job;
    return AbortedError("the lease of job " + job.key.id + " with token " +
                        std::to_string(report.token) + " is over; the job is " +
                        std::string(JobStateName(job.state)));
  }
  const TimeUs now = tx.Now();
  std::vector<JobEvent> events = Record(job, report, now);
  Measure(job.facts, completion.facts);
  switch (completion.outcome) {
    case Outcome::kSucceeded:
      GRAFT_RETURN_IF_ERROR(Succeed(tx, job, completion, events));
      break;
    case Outcome::kFailed:
      events.push_back(Fail(job, completion.error, now));
      break;
    case Outcome::kRetry:
      events.push_back(GiveBack(job, kReasonRetry, options, now, completion.error));
      break;
    case Outcome::kReleased:
      events.push_back(Release(job, completion, options, now));
      break;
    case Outcome::kPaused:
      events.push_back(StopAs(job, JobState::kPaused, kReasonPaused, options, now));
      break;
    case Outcome::kCancelled:
      events.push_back(StopAs(job, JobState::kCancelled, kReasonCancelled, options, now));
      break;
  }
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, std::move(events)));
  return job;
}

StatusOr<std::vector<Job>> ExpireLeases(Transaction& tx, const LeaseOptions& options,
                                        const std::string& dead_worker) {
  const TimeUs now = tx.Now();
  JobQuery query;
  query.states = {JobState::kRunning};
  query.limit = kMaxExpired;
  query.order = JobQuery::Order::kLeaseExpiryFirst;
  query.lease_expires_before = now + 1;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> over, tx.ListJobs(query));
  std::vector<Job> changed;
  for (Job& job : over) {
    const bool stalled = now - job.lease.last_progress >= options.stall_after;
    JobEvent event = GiveBack(job, stalled ? "STALLED" : "LEASE_EXPIRED", options, now);
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
    changed.push_back(std::move(job));
  }
  if (dead_worker.empty()) return changed;
  query.lease_expires_before.reset();
  query.lease_worker = dead_worker;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> held, tx.ListJobs(query));
  for (Job& job : held) {
    JobEvent event = GiveBack(job, "WORKER_DIED", options, now);
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
    changed.push_back(std::move(job));
  }
  return changed;
}

}  // namespace graft::server::core
