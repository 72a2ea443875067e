#include "server/core/leases.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/core/attempts.h"
#include "server/core/jobs.h"
#include "server/core/registry.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxEvaluations = 100;
constexpr size_t kMaxExpired = 1000;
/// Of samples, that a job keeps without thinning them out.
constexpr int64_t kWholeSampleBytes = int64_t{4} << 20;

bool Holds(const Job& job, int64_t token) {
  return job.state == JobState::kRunning && job.lease.token == token && !job.attempts.empty();
}

Status LeaseIsOver(const Job& job, int64_t token) {
  return AbortedError("the lease of job " + job.key.id + " with token " + std::to_string(token) +
                      " is over; the job is " + std::string(JobStateName(job.state)));
}

/// The job as it is now. Errors: Aborted if it is gone.
StatusOr<Job> GetJobOfLease(Transaction& tx, const JobKey& key) {
  StatusOr<Job> found = tx.GetJob(key);
  if (found.status().code() == StatusCode::kNotFound)
    return AbortedError("job " + key.id + " was deleted");
  return found;
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

/// Whether a sample becomes an event. All do until they are many; then those of an evaluation at
/// which the run is an eighth longer than at the last whose were kept: they show all of a run, and
/// their number grows with its logarithm.
bool Keeps(const Sample& sample, KeptSamples& kept) {
  const bool are_many = kept.bytes >= kWholeSampleBytes;
  const bool is_of_last = sample.step == kept.step && sample.index > kept.index;
  const int64_t next = kept.step + std::max<int64_t>(kept.step / 8, 1);
  if (are_many && !is_of_last && sample.step < next) return false;
  kept.bytes += static_cast<int64_t>(sample.prompt.size() + sample.text.size());
  kept.step = sample.step;
  kept.index = sample.index;
  return true;
}

/// Drops what isn't kept; says so the first time.
void ThinOutSamples(Job& job, std::vector<JobEvent>& events) {
  const size_t dropped = std::erase_if(events, [&](const JobEvent& event) {
    return event.kind == EventKind::kSample && !Keeps(event.sample, job.samples);
  });
  if (dropped == 0 || std::exchange(job.samples.is_thinned, true)) return;
  JobEvent& warning = events.emplace_back();
  warning.kind = EventKind::kWarning;
  warning.text = "the samples are many: behind step " + std::to_string(job.samples.step) +
                 " those of an evaluation are kept only if the run is an eighth longer than at the "
                 "last whose were";
}

/// Takes over what the worker reported; returns the events to append.
std::vector<JobEvent> Record(Job& job, const LeaseReport& report, TimeUs now) {
  if (report.step > job.lease.step || report.activity > job.lease.activity)
    job.lease.last_progress = now;
  job.lease.step = std::max(job.lease.step, report.step);
  job.lease.activity = std::max(job.lease.activity, report.activity);
  if (!report.resolved_precision.empty()) {
    job.resolved_precision = report.resolved_precision;
    job.lease.holds_memory = true;
  }
  if (!report.checkpoint.key.empty()) {
    job.checkpoint = report.checkpoint;
    Attempt& attempt = job.attempts.back();
    if (report.checkpoint.step > attempt.first_step) attempt.made_checkpoint = true;
  }
  std::vector<JobEvent> events;
  std::copy_if(report.events.begin(), report.events.end(), std::back_inserter(events),
               &IsWorkersToTell);
  ThinOutSamples(job, events);
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
  event.text = VersionText(*made);
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
  const auto refused_by =
      std::ranges::find(completion.places, completion.report.worker, &WorkerPlace::worker);
  if (refused_by != completion.places.end())
    NoteNeed(job, refused_by->prefers_bf16, completion.facts.peak_memory_bytes);
  // For good: so one that drains counts too, for it may come back.
  const bool fits_nowhere = ProspectOf(job, completion.places) == Prospect::kNone;
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

}  // namespace

StatusOr<Job> GetHeldJob(Transaction& tx, const JobKey& key, int64_t token) {
  GRAFT_ASSIGN_OR_RETURN(Job job, GetJobOfLease(tx, key));
  if (!Holds(job, token)) return LeaseIsOver(job, token);
  return job;
}

StatusOr<LeaseVerdict> RenewLease(Transaction& tx, const LeaseReport& report,
                                  const LeaseOptions& options) {
  StatusOr<Job> found = tx.GetJob(report.key);
  if (!found.ok() && found.status().code() == StatusCode::kNotFound) {
    return LeaseVerdict{true, JobState::kCancelled, {}};
  }
  GRAFT_ASSIGN_OR_RETURN(Job job, std::move(found));
  if (!Holds(job, report.token)) return LeaseVerdict{true, JobState::kCancelled, {}};
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
  GRAFT_ASSIGN_OR_RETURN(Job job, GetJobOfLease(tx, report.key));
  if (!Holds(job, report.token)) {
    if (IsRepeated(job, completion)) return job;
    return LeaseIsOver(job, report.token);
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
