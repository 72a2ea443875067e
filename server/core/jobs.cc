#include "server/core/jobs.h"

#include <optional>
#include <utility>

#include "common/base/fault.h"
#include "server/core/registry.h"

namespace graft::server::core {
namespace {

Status WrongState(const Job& job, const std::string& verb) {
  return FailedPreconditionError("job " + job.key.id + " is " +
                                 std::string(JobStateName(job.state)) + "; it can't be " + verb)
      .AddDetail({"WRONG_STATE", "name", 0, {}, {}});
}

/// Writes a transition to `to`.
StatusOr<Job> Move(Transaction& tx, Job job, JobState to, std::string_view reason) {
  JobEvent event = ChangeState(job, to, reason, tx.Now());
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
  return job;
}

StatusOr<Job> Wish(Transaction& tx, Job job, JobState desired) {
  if (job.desired_state == desired) return job;
  job.desired_state = desired;
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {}));
  return job;
}

StatusOr<Job> ForValidation(Transaction& tx, const JobKey& key, int64_t token) {
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
  if (job.state != JobState::kValidating) return WrongState(job, "validated");
  if (job.lease.token != token)
    return AbortedError("another server validates job " + key.id + " now");
  return job;
}

}  // namespace

JobError ToJobError(const Status& status) {
  return {status.code(), status.message(), status.details(), 0,
          std::string(FaultName(FaultOf(status)))};
}

JobEvent Fail(Job& job, const JobError& error, TimeUs now, std::string_view reason) {
  job.error = error;
  JobEvent event = ChangeState(job, JobState::kFailed, reason, now);
  event.error = error;
  return event;
}

Status CheckResult(Transaction& tx, const std::string& tenant, const std::string& adapter,
                   const std::string& base) {
  const StatusOr<Adapter> found = tx.GetAdapter(tenant, adapter);
  if (found.ok()) return CheckBase(*found, base);
  return found.status().code() == StatusCode::kNotFound ? OkStatus() : found.status();
}

void CloseAttempt(Job& job, std::string_view reason, TimeUs now) {
  if (job.attempts.empty() || !job.attempts.back().end_reason.empty()) return;
  Attempt& attempt = job.attempts.back();
  attempt.end_time = now;
  attempt.end_reason = reason;
  attempt.last_step = job.lease.step;
}

JobEvent ChangeState(Job& job, JobState to, std::string_view reason, TimeUs now) {
  JobEvent event;
  event.time = now;
  event.kind = EventKind::kStateChange;
  event.from = job.state;
  event.to = to;
  CloseAttempt(job, reason, now);
  job.state = to;
  job.state_reason = reason;
  job.not_before = 0;
  job.lease.worker.clear();
  job.lease.expiry = 0;
  if (to == JobState::kQueued) {
    job.queue_time = now;
    job.desired_state = JobState::kRunning;
  }
  if (to == JobState::kPaused || to == JobState::kCancelled) job.desired_state = to;
  if (IsTerminal(to)) job.end_time = now;
  event.reason = reason;
  return event;
}

bool RequestHashes::Match(const Job& job) const {
  return job.request_sha256 ==
         (job.request_hash_kind == RequestHashKind::kMessage ? message : resolved_spec);
}

StatusOr<Job> CreateJob(Transaction& tx, const NewJob& request, const JobLimits& limits) {
  if (!request.request_id.empty()) {
    GRAFT_ASSIGN_OR_RETURN(std::optional<Job> first,
                           tx.FindJobByRequest(request.tenant, request.request_id));
    if (first && request.request_hashes.Match(*first)) return *std::move(first);
    if (first) {
      return AlreadyExistsError("request_id " + request.request_id + " was used for job " +
                                first->key.id + " with another spec; use a new one")
          .At("request_id", "REQUEST_ID_REUSED");
    }
  }
  GRAFT_RETURN_IF_ERROR(CheckResult(tx, request.tenant, request.adapter, request.base));
  if (request.init_from) {
    if (Status there = CheckUnchanged(tx, *request.init_from); !there.ok())
      return std::move(there).At("spec.init_from");
  }
  JobQuery waiting;
  waiting.tenant = request.tenant;
  waiting.states = {JobState::kValidating, JobState::kQueued, JobState::kPaused};
  GRAFT_ASSIGN_OR_RETURN(const int64_t count, tx.CountJobs(waiting));
  if (count >= limits.max_queued_jobs) {
    return ResourceExhaustedError(
               std::to_string(count) +
               " jobs wait already, which is the limit; try again when some have run")
        .AddDetail({"QUEUE_FULL", {}, 0, {}, {}});
  }
  Job job;
  const TimeUs now = tx.Now();
  job.key = {request.tenant, NewId(now)};
  job.spec_json = request.spec_json;
  job.base = request.base;
  job.adapter = request.adapter;
  job.base_fingerprint = request.base_fingerprint;
  job.tokenizer = request.tokenizer;
  job.traceparent = request.traceparent;
  job.tracestate = request.tracestate;
  job.labels = request.labels;
  job.priority = request.priority;
  job.request_id = request.request_id;
  job.request_sha256 = request.request_hashes.message;
  job.request_hash_kind = RequestHashKind::kMessage;
  if (request.init_from) {
    job.init_from_sha256 = request.init_from->sha256;
    job.init_from_prefix = request.init_from->artifact_prefix;
  }
  job.create_time = now;
  JobEvent created;
  created.time = now;
  created.from = created.to = JobState::kValidating;
  created.reason = job.state_reason = "CREATED";
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {created}));
  return job;
}

StatusOr<Job> ClaimValidation(Transaction& tx, const JobKey& key, const std::string& server,
                              TimeUs duration) {
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
  if (job.state != JobState::kValidating) return WrongState(job, "validated");
  if (job.lease.expiry > tx.Now() && job.lease.worker != server) {
    return AbortedError("another server validates job " + key.id + " now");
  }
  job.lease.worker = server;
  job.lease.expiry = tx.Now() + duration;
  ++job.lease.token;
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {}));
  return job;
}

Status RenewValidation(Transaction& tx, const JobKey& key, int64_t token, TimeUs duration) {
  GRAFT_ASSIGN_OR_RETURN(Job job, ForValidation(tx, key, token));
  job.lease.expiry = tx.Now() + duration;
  return tx.PutJob(job, {});
}

StatusOr<Job> FinishValidation(Transaction& tx, const JobKey& key, int64_t token,
                               const std::string& dataset_sha256, const JobFacts& facts,
                               const std::vector<std::string>& warnings,
                               const std::string& spec_json) {
  GRAFT_ASSIGN_OR_RETURN(Job job, ForValidation(tx, key, token));
  job.dataset_sha256 = dataset_sha256;
  job.facts = facts;
  job.warnings = warnings;
  if (!spec_json.empty()) job.spec_json = spec_json;
  std::vector<JobEvent> events;
  for (const std::string& warning : warnings) {
    JobEvent event;
    event.time = tx.Now();
    event.kind = EventKind::kWarning;
    event.text = warning;
    events.push_back(std::move(event));
  }
  const Status wanted = CheckResult(tx, job.key.tenant, job.adapter, job.base);
  if (!wanted.ok() && wanted.code() != StatusCode::kFailedPrecondition) return wanted;
  events.push_back(wanted.ok() ? ChangeState(job, JobState::kQueued, "DATA_READY", tx.Now())
                               : Fail(job, ToJobError(wanted), tx.Now()));
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, std::move(events)));
  return job;
}

StatusOr<Job> FailValidation(Transaction& tx, const JobKey& key, int64_t token,
                             const JobError& error) {
  GRAFT_ASSIGN_OR_RETURN(Job job, ForValidation(tx, key, token));
  const bool data = error.fault == FaultName(Fault::kData);
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {Fail(job, error, tx.Now(), data ? "BAD_DATA" : "ERROR")}));
  return job;
}

StatusOr<Job> CancelJob(Transaction& tx, const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
  if (job.state == JobState::kCancelled) return job;
  if (IsTerminal(job.state)) return WrongState(job, "cancelled");
  if (job.state == JobState::kRunning) return Wish(tx, std::move(job), JobState::kCancelled);
  return Move(tx, std::move(job), JobState::kCancelled, kReasonCancelled);
}

StatusOr<Job> PauseJob(Transaction& tx, const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
  if (job.state == JobState::kPaused) return job;
  if (job.state == JobState::kRunning) {
    if (job.desired_state != JobState::kCancelled)
      return Wish(tx, std::move(job), JobState::kPaused);
    return FailedPreconditionError("job " + key.id + " is being cancelled; it can't be paused")
        .AddDetail({"WRONG_STATE", "name", 0, {}, {}});
  }
  if (job.state != JobState::kQueued) return WrongState(job, "paused");
  return Move(tx, std::move(job), JobState::kPaused, kReasonPaused);
}

StatusOr<Job> ResumeJob(Transaction& tx, const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
  if (job.state == JobState::kRunning && job.desired_state == JobState::kPaused) {
    return Wish(tx, std::move(job), JobState::kRunning);
  }
  if (job.state != JobState::kPaused) return WrongState(job, "resumed");
  // Others may have used the name meanwhile: what can't end well stays paused, with its checkpoint.
  GRAFT_RETURN_IF_ERROR(CheckResult(tx, job.key.tenant, job.adapter, job.base));
  return Move(tx, std::move(job), JobState::kQueued, kReasonResumed);
}

StatusOr<std::vector<Job>> FailQueued(Transaction& tx, const std::string& base,
                                      const JobError& error, size_t limit) {
  JobQuery query;
  query.states = {JobState::kQueued};
  query.base = base;
  query.limit = limit;
  GRAFT_ASSIGN_OR_RETURN(std::vector<Job> jobs, tx.ListJobs(query));
  for (Job& job : jobs) {
    JobEvent event = Fail(job, error, tx.Now());
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {std::move(event)}));
  }
  return jobs;
}

Status DeleteJob(Transaction& tx, const JobKey& key) {
  GRAFT_ASSIGN_OR_RETURN(const Job job, tx.GetJob(key));
  if (!IsTerminal(job.state)) return WrongState(job, "deleted; cancel it first");
  return tx.DeleteJob(key);
}

}  // namespace graft::server::core
