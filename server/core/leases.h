#pragma once
/// Leases: which worker runs a job, until when, and with which fencing token. Every write that a
/// worker asks for is checked against the token; a worker that was away and comes back overwrites
/// nothing. Who gets one: granting.h.

#include <string>
#include <vector>

#include "server/core/room.h"
#include "server/core/store.h"

namespace graft::server::core {

struct LeaseOptions {
  TimeUs duration = 10'000'000;      ///< Without renewal.
  TimeUs stall_after = 600'000'000;  ///< Without activity; a job that hangs is taken back.
  /// In a row. An attempt that a drain, a lack of memory or the user's pause ended isn't counted:
  /// it is no one's fault.
  int max_attempts_without_checkpoint = 3;
  /// How long a job waits after a kRetry: `backoff` after the first attempt in a row without a
  /// checkpoint, four times as long after each further one, up to `max_backoff`. A fault that
  /// passes must not use up all attempts within seconds.
  TimeUs backoff = 1'000'000;
  TimeUs max_backoff = 60'000'000;
  TimeUs rival_wait = 1'000'000;  ///< See AcquireLeases.
  TimeUs tell_wait = 5'000'000;   ///< A job that waits so long for memory says so.
};

/// What a worker reports of one lease.
struct LeaseReport {
  JobKey key;
  int64_t token = 0;
  std::string worker;
  int64_t step = 0;
  int64_t activity = 0;  ///< Rises while the job computes, between steps too; else it stands still.
  /// Progress, evaluations, samples, checkpoints, warnings; unnumbered. Others are the server's to
  /// make and are left out. A report that is repeated because its answer was lost repeats its
  /// events.
  std::vector<JobEvent> events;
  Checkpoint checkpoint;           ///< Newest stored, if new.
  std::string resolved_precision;  ///< Once the job has its memory; empty until then.
};

struct LeaseVerdict {
  bool lost = false;  ///< The token is old, or the job isn't RUNNING: drop it.
  JobState desired = JobState::kRunning;
  /// Object of the checkpoint that a newer one replaced: nothing will read it again. Empty: none.
  std::string replaced_checkpoint;
};

/// Renews and records. The lease then lasts `duration` from now, but no longer than `stall_after`
/// from its last activity, so a job that hangs loses it though its worker lives.
/// A lost lease is a verdict, not an error, and records nothing.
StatusOr<LeaseVerdict> RenewLease(Transaction& tx, const LeaseReport& report,
                                  const LeaseOptions& options);

/// The job, for a write by whoever holds its lease.
/// Errors: Aborted if the token is old, the job isn't RUNNING any more, or gone.
StatusOr<Job> GetHeldJob(Transaction& tx, const JobKey& key, int64_t token);

/// How an attempt ended.
enum class Outcome {
  kSucceeded,
  kFailed,    ///< The job's own fault.
  kRetry,     ///< The worker's or the machine's fault.
  kReleased,  ///< The worker drains, its checkpoint is stored; with an error: no memory now.
  kPaused,
  kCancelled,
};

struct Completion {
  LeaseReport report;
  Outcome outcome = Outcome::kFailed;
  JobError error;   ///< Of kFailed and kRetry, and of a kReleased that didn't fit.
  JobFacts facts;   ///< Measured; those that aren't 0 replace the job's.
  Version version;  ///< If kSucceeded; number, tenant, adapter and times are filled in here.
  bool promote = false;
  std::vector<WorkerPlace> places = {};  ///< All that are there; of a kReleased that didn't fit.
};

/// Ends a lease. On success the version row, its adapter, the alias (if the job asked for it) and
/// the job's end are one transaction; it wins over a cancel or pause that was only wished.
/// - kSucceeded -> SUCCEEDED, or FAILED if its adapter now belongs to another base
/// - kFailed -> FAILED
/// - kRetry, kReleased -> QUEUED, or FAILED at the attempt limit; a kRetry waits a while first. One
///   that didn't fit is FAILED if, by its measured facts, it fits no worker that has its base.
/// - kPaused, kCancelled -> PAUSED, CANCELLED; QUEUED if the wish was taken back meanwhile
///
/// All but the first two become CANCELLED or PAUSED if that is wished. Repeating a completion whose
/// answer was lost is fine: it returns the job as it is.
/// Errors: Aborted if the token is old, or the lease ended in another way, or the job is gone.
StatusOr<Job> CompleteLease(Transaction& tx, const Completion& completion,
                            const LeaseOptions& options);

/// Takes back leases that expired, and all of `dead_worker` if it is named; up to 1000 at a time.
/// Each job goes to QUEUED (without a wait: another worker may run it), to FAILED at the attempt
/// limit, or to what was wished. Returns them.
StatusOr<std::vector<Job>> ExpireLeases(Transaction& tx, const LeaseOptions& options,
                                        const std::string& dead_worker = {});

}  // namespace graft::server::core
