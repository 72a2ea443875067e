#pragma once
/// Leases: which worker may run a job, until when, and with which fencing token. Every write that a worker asks for is
/// checked against the token; a worker that was away and comes back overwrites nothing.

#include <string>
#include <vector>

#include "server/core/store.h"

namespace graft::server::core {

struct LeaseOptions {
  TimeUs duration = 10'000'000;        ///< Without renewal.
  TimeUs stall_after = 600'000'000;    ///< Without a new step; a job that hangs is taken back.
  int max_attempts_without_checkpoint = 3;
};

struct WorkerAsk {
  std::string worker;
  std::vector<std::string> bases;      ///< That it can load.
  int max_leases = 1;
};

/// QUEUED -> RUNNING for up to `max_leases` jobs, highest priority first, then oldest. Each gets the next token.
StatusOr<std::vector<Job>> AcquireLeases(Transaction& tx, const WorkerAsk& ask, const LeaseOptions& options);

/// What a worker reports of one lease.
struct LeaseReport {
  JobKey key;
  int64_t token = 0;
  std::string worker;
  int64_t step = 0;
  std::vector<JobEvent> events;        ///< Progress, evaluations, checkpoints, warnings; unnumbered.
  Checkpoint checkpoint;               ///< Newest stored, if new.
  std::string resolved_precision;
};

struct LeaseVerdict {
  bool lost = false;                   ///< The token is old, or the job isn't RUNNING: drop it.
  JobState desired = JobState::kRunning;
};

/// Renews and records. A lost lease is a verdict, not an error.
StatusOr<LeaseVerdict> RenewLease(Transaction& tx, const LeaseReport& report, const LeaseOptions& options);

/// How an attempt ended.
enum class Outcome {
  kSucceeded,
  kFailed,     ///< The job's own fault.
  kRetry,      ///< The worker's or the machine's fault.
  kReleased,   ///< The worker drains; its checkpoint is stored.
  kPaused,
  kCancelled,
};

struct Completion {
  LeaseReport report;
  Outcome outcome = Outcome::kFailed;
  JobError error;
  JobFacts facts;                      ///< Measured; merged into the job's.
  Version version;                     ///< If kSucceeded; number, tenant, adapter and times are filled in here.
  bool promote = false;
};

/// Ends a lease. On success the version row, its adapter, the alias (if the job asked for it) and the job's end are one
/// transaction. Repeating a completion that was answered by a lost connection is fine.
/// Errors:    Aborted if the token is old.
StatusOr<Job> CompleteLease(Transaction& tx, const Completion& completion, const LeaseOptions& options);

/// Takes back leases that expired or stalled, and all of `dead_worker` if it is named. Returns the jobs that changed.
StatusOr<std::vector<Job>> ExpireLeases(Transaction& tx, const LeaseOptions& options, const std::string& dead_worker = {});

}  // namespace graft::server::core
