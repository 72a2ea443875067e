#pragma once
/// What can happen to a job outside of a worker: each function is one transition, made inside one
/// transaction that writes the row and its numbered event together. Leases are in leases.h.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/store.h"

namespace graft::server::core {

struct JobLimits {
  int64_t max_queued_jobs = 100'000;  ///< Of one tenant, over VALIDATING, QUEUED and PAUSED.
};

/// Hashes of what a request asks for, of each kind that a row may carry.
struct RequestHashes {
  std::string resolved_spec, message;
  /// True if `job` was made by a request for the same.
  bool Match(const Job& job) const;
};

struct NewJob {
  std::string tenant;
  std::string request_id;  ///< Empty: no protection against duplicates.
  RequestHashes request_hashes;
  std::string spec_json;  ///< common/spec's JSON form, resolved.
  std::string base, adapter;
  std::string base_fingerprint, tokenizer;  ///< Of the base that the spec was checked against.
  std::string traceparent, tracestate;      ///< Of the call.
  std::map<std::string, std::string> labels;
  int priority = 0;
  std::optional<Version> init_from;  ///< To continue; as it was read before.
};

/// OK while the store would take a version of `adapter` on `base`. Asked whenever a job moves on
/// towards its run, for what it asks about may have changed while the job waited.
/// Errors: FailedPrecondition if the adapter exists with another base.
Status CheckResult(Transaction& tx, const std::string& tenant, const std::string& adapter,
                   const std::string& base);

/// (new) -> VALIDATING. A request_id that was used before with the same content returns that first
/// job.
/// Errors: AlreadyExists if it was used with another content; ResourceExhausted over the limit;
/// as CheckResult for its adapter; as CheckUnchanged for init_from.
StatusOr<Job> CreateJob(Transaction& tx, const NewJob& job, const JobLimits& limits = {});

/// Takes the right to validate a job for `duration`; only its holder may finish. Validation's token
/// is the lease's. A server that restarts under its name takes back at once what it held.
/// Errors: FailedPrecondition if it isn't VALIDATING; Aborted if another server validates it.
StatusOr<Job> ClaimValidation(Transaction& tx, const JobKey& key, const std::string& server,
                              TimeUs duration);

/// Keeps that right for another `duration`, for data that takes long to read; so a server that dies
/// holds its claims for seconds only.
/// Errors: as FinishValidation; the caller then drops what it is doing.
Status RenewValidation(Transaction& tx, const JobKey& key, int64_t token, TimeUs duration);

/// VALIDATING -> QUEUED, or FAILED if CheckResult refuses it by now. A `spec_json` that isn't empty
/// takes the place of the job's: what only its data could tell is filled in.
/// Errors: Aborted if `token` is old; FailedPrecondition if the job isn't VALIDATING any more
/// (cancelled).
StatusOr<Job> FinishValidation(Transaction& tx, const JobKey& key, int64_t token,
                               const std::string& dataset_sha256, const JobFacts& facts,
                               const std::vector<std::string>& warnings,
                               const std::string& spec_json = {});

/// VALIDATING -> FAILED, with the reason BAD_DATA if the data caused it, else ERROR.
/// Errors: as FinishValidation.
StatusOr<Job> FailValidation(Transaction& tx, const JobKey& key, int64_t token,
                             const JobError& error);

/// VALIDATING | QUEUED | PAUSED -> CANCELLED; RUNNING: stores the wish. Cancelling twice is fine.
/// What was wished comes true when the worker hears of it and completes its lease so, or loses it;
/// a completion that comes first wins.
/// Errors: FailedPrecondition if the job has ended otherwise.
StatusOr<Job> CancelJob(Transaction& tx, const JobKey& key);

/// QUEUED -> PAUSED; RUNNING: stores the wish. Pausing twice is fine.
/// Errors: FailedPrecondition from any other state, or if it is to be cancelled.
StatusOr<Job> PauseJob(Transaction& tx, const JobKey& key);

/// PAUSED -> QUEUED; RUNNING with a wish to pause: takes the wish back.
/// Errors: FailedPrecondition from any other state.
StatusOr<Job> ResumeJob(Transaction& tx, const JobKey& key);

/// QUEUED -> FAILED for up to `limit` jobs on `base`, which is gone: nobody would ever lease them.
/// Returns them.
StatusOr<std::vector<Job>> FailQueued(Transaction& tx, const std::string& base,
                                      const JobError& error, size_t limit);

/// Removes an ended job with its events. Errors: FailedPrecondition if it hasn't ended.
Status DeleteJob(Transaction& tx, const JobKey& key);

/// Reasons that more than one place gives or asks for.
inline constexpr std::string_view kReasonCancelled = "CANCELLED_BY_USER";
inline constexpr std::string_view kReasonPaused = "PAUSED_BY_USER";
inline constexpr std::string_view kReasonResumed = "RESUMED_BY_USER";
inline constexpr std::string_view kReasonDrained = "WORKER_DRAINED";
inline constexpr std::string_view kReasonRetry = "RETRY";
inline constexpr std::string_view kReasonNoRoom = "NO_ROOM";

/// Changes the state and returns the event that says so; ends the lease, the attempt if it is open,
/// and what the job had to wait for. Used by jobs.cc and leases.cc, which decide whether the
/// transition is legal.
JobEvent ChangeState(Job& job, JobState to, std::string_view reason, TimeUs now);

/// Ends the running attempt, if there is one that is open.
void CloseAttempt(Job& job, std::string_view reason, TimeUs now);

/// Ends the job FAILED; returns the event that says why.
JobEvent Fail(Job& job, const JobError& error, TimeUs now, std::string_view reason = "ERROR");

/// A Status as the value that a FAILED job carries.
JobError ToJobError(const Status& status);

}  // namespace graft::server::core
