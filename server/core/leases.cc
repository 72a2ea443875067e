#include "server/core/leases.h"

#include <algorithm>

#include "server/core/jobs.h"
#include "server/core/registry.h"

namespace graft::server::core {
namespace {

constexpr size_t kMaxEvaluations = 100;

bool Holds(const Job& job, const LeaseReport& report) {
  return job.state == JobState::kRunning && job.lease.token == report.token;
}

/// Takes over what the worker reported; fills in what events lack.
std::vector<JobEvent> Record(Job& job, const LeaseReport& report, TimeUs now) {
  if (report.step > job.lease.step) {
    job.lease.step = report.step;
    job.lease.last_progress = now;
  }
  if (!report.resolved_precision.empty()) job.resolved_precision = report.resolved_precision;
  if (!report.checkpoint.key.empty()) {
    job.checkpoint = report.checkpoint;
    job.lease.last_progress = now;
    if (!job.attempts.empty()) job.attempts.back().made_checkpoint = true;
  }
  std::vector<JobEvent> events = report.events;
  for (JobEvent& event : events) {
    event.time = now;
    if (event.kind == EventKind::kProgress) job.progress = event.progress;
    if (event.kind == EventKind::kWarning) job.warnings.push_back(event.text);
    if (event.kind == EventKind::kEvaluation) {
      job.evaluations.push_back(event.evaluation);
      if (job.evaluations.size() > kMaxEvaluations) job.evaluations.erase(job.evaluations.begin());
    }
  }
  return events;
}

/// Ends the attempt without a result: back to the queue, unless the user wished otherwise or it failed too often.
JobEvent GiveBack(Job& job, const std::string& reason, const LeaseOptions& options, TimeUs now) {
  if (job.desired_state == JobState::kCancelled) return ChangeState(job, JobState::kCancelled, "CANCELLED_BY_USER", now);
  if (job.desired_state == JobState::kPaused) return ChangeState(job, JobState::kPaused, "PAUSED_BY_USER", now);
  JobEvent event = ChangeState(job, JobState::kQueued, reason, now);
  int fruitless = 0;
  std::string reasons;
  for (auto attempt = job.attempts.rbegin(); attempt != job.attempts.rend() && !attempt->made_checkpoint; ++attempt) {
    if (attempt->end_reason == "WORKER_DRAINED") continue;
    ++fruitless;
    reasons = "attempt " + std::to_string(attempt->number) + ": " + attempt->end_reason + (reasons.empty() ? "" : "; ") + reasons;
  }
  if (fruitless < options.max_attempts_without_checkpoint) return event;
  job.error = JobError{StatusCode::kUnavailable,
                       std::to_string(fruitless) + " attempts in a row ended before a checkpoint (" + reasons + ")",
                       {{"TOO_MANY_ATTEMPTS", {}, 0, {}, {}}},
                       0};
  job.state = JobState::kFailed;
  job.end_time = now;
  event.to = JobState::kFailed;
  event.reason = "TOO_MANY_ATTEMPTS";
  event.error = job.error;
  return event;
}

/// Makes the version, and the alias if asked; returns the event that tells.
StatusOr<JobEvent> MakeVersion(Transaction& tx, Job& job, const Completion& completion) {
  Version version = completion.version;
  version.tenant = job.key.tenant;
  version.adapter = job.adapter;
  version.job_id = job.key.id;
  version.base = job.base;
  version.base_proved = true;
  version.evaluations = job.evaluations;
  GRAFT_ASSIGN_OR_RETURN(version, AddVersion(tx, std::move(version), completion.promote));
  job.version_number = version.number;
  job.version_sha256 = version.sha256;
  JobEvent event;
  event.time = tx.Now();
  event.kind = EventKind::kVersionCreated;
  event.text = "adapters/" + version.adapter + "/versions/" + std::to_string(version.number);
  event.sha256 = version.sha256;
  event.promoted = completion.promote;
  return event;
}

}  // namespace

StatusOr<std::vector<Job>> AcquireLeases(Transaction& tx, const WorkerAsk& ask, const LeaseOptions& options) {
  std::vector<Job> granted;
  std::vector<Job> candidates;
  // One query a base, so that thousands of queued jobs of other bases are never read.
  for (const std::string& base : ask.bases) {
    JobQuery query;
    query.states = {JobState::kQueued};
    query.base = base;
    query.order = JobQuery::Order::kRunFirst;
    query.limit = static_cast<size_t>(std::max(ask.max_leases, 0));
    GRAFT_ASSIGN_OR_RETURN(std::vector<Job> found, tx.ListJobs(query));
    std::move(found.begin(), found.end(), std::back_inserter(candidates));
  }
  std::sort(candidates.begin(), candidates.end(), [](const Job& a, const Job& b) {
    return std::tie(b.priority, a.create_time, a.key.id) < std::tie(a.priority, b.create_time, b.key.id);
  });
  const TimeUs now = tx.Now();
  for (Job& job : candidates) {
    if (static_cast<int>(granted.size()) >= ask.max_leases) break;
    JobEvent event = ChangeState(job, JobState::kRunning, "LEASED", now);
    job.lease.worker = ask.worker;
    ++job.lease.token;
    job.lease.expiry = now + options.duration;
    job.lease.last_progress = now;
    job.lease.step = job.checkpoint.step;
    if (job.start_time == 0) job.start_time = now;
    Attempt attempt;
    attempt.number = static_cast<int>(job.attempts.size()) + 1;
    attempt.worker = ask.worker;
    attempt.start_time = now;
    attempt.first_step = job.checkpoint.step;
    job.attempts.push_back(attempt);
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
    granted.push_back(std::move(job));
  }
  return granted;
}

StatusOr<LeaseVerdict> RenewLease(Transaction& tx, const LeaseReport& report, const LeaseOptions& options) {
  StatusOr<Job> found = tx.GetJob(report.key);
  if (!found.ok() && found.status().code() == StatusCode::kNotFound) return LeaseVerdict{true, JobState::kCancelled};
  GRAFT_ASSIGN_OR_RETURN(Job job, std::move(found));
  if (!Holds(job, report)) return LeaseVerdict{true, JobState::kCancelled};
  std::vector<JobEvent> events = Record(job, report, tx.Now());
  job.lease.expiry = tx.Now() + options.duration;
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, std::move(events)));
  return LeaseVerdict{false, job.desired_state};
}

StatusOr<Job> CompleteLease(Transaction& tx, const Completion& completion, const LeaseOptions& options) {
  const LeaseReport& report = completion.report;
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(report.key));
  if (!Holds(job, report)) {
    // The answer to the same completion may have been lost on its way.
    const bool repeated = job.lease.token == report.token && job.state != JobState::kRunning &&
                          (completion.outcome != Outcome::kSucceeded || job.version_sha256 == completion.version.sha256);
    if (repeated) return job;
    return AbortedError("the lease of job " + job.key.id + " has passed on to another attempt");
  }
  const TimeUs now = tx.Now();
  std::vector<JobEvent> events = Record(job, report, now);
  const double seconds = completion.facts.seconds;
  if (seconds > 0) job.facts.seconds = seconds;
  switch (completion.outcome) {
    case Outcome::kSucceeded: {
      job.evaluations = completion.version.evaluations.empty() ? job.evaluations : completion.version.evaluations;
      job.facts = completion.facts;
      GRAFT_ASSIGN_OR_RETURN(JobEvent made, MakeVersion(tx, job, completion));
      events.push_back(std::move(made));
      events.push_back(ChangeState(job, JobState::kSucceeded, "COMPLETED", now));
      break;
    }
    case Outcome::kFailed:
      job.error = completion.error;
      events.push_back(ChangeState(job, JobState::kFailed, "ERROR", now));
      events.back().error = completion.error;
      break;
    case Outcome::kRetry:
      events.push_back(GiveBack(job, "RETRY: " + completion.error.message.substr(0, 200), options, now));
      break;
    case Outcome::kReleased:
      events.push_back(GiveBack(job, "WORKER_DRAINED", options, now));
      break;
    case Outcome::kPaused:
      // The wish may have been taken back while the worker stored its checkpoint.
      events.push_back(job.desired_state == JobState::kPaused
                           ? ChangeState(job, JobState::kPaused, "PAUSED_BY_USER", now)
                           : GiveBack(job, "WORKER_DRAINED", options, now));
      break;
    case Outcome::kCancelled:
      events.push_back(job.desired_state == JobState::kCancelled
                           ? ChangeState(job, JobState::kCancelled, "CANCELLED_BY_USER", now)
                           : GiveBack(job, "WORKER_DRAINED", options, now));
      break;
  }
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, std::move(events)));
  return job;
}

StatusOr<std::vector<Job>> ExpireLeases(Transaction& tx, const LeaseOptions& options, const std::string& dead_worker) {
  JobQuery query;
  query.states = {JobState::kRunning};
  query.order = JobQuery::Order::kRunFirst;
  query.limit = 10'000;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> running, tx.ListJobs(query));
  std::vector<Job> changed;
  const TimeUs now = tx.Now();
  for (Job& job : running) {
    std::string reason;
    if (!dead_worker.empty() && job.lease.worker == dead_worker) {
      reason = "WORKER_DIED";
    } else if (job.lease.expiry <= now) {
      reason = "LEASE_EXPIRED";
    } else if (now - job.lease.last_progress > options.stall_after) {
      reason = "STALLED";
    } else {
      continue;
    }
    JobEvent event = GiveBack(job, reason, options, now);
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
    changed.push_back(std::move(job));
  }
  return changed;
}

}  // namespace graft::server::core
