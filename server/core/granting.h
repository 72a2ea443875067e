#pragma once
/// Which of the jobs that wait go to a worker that asks for work.

#include <optional>
#include <string>
#include <vector>

#include "server/core/leases.h"
#include "server/core/room.h"
#include "server/core/store.h"

namespace graft::server::core {

/// How far a worker's looks through the queue have come, of which each sees only a part.
struct QueueWalk {
  RunPlace place;  ///< They go on behind it.
  /// Looks behind the front that found nothing to grant or to wait for, less those that did; at 0
  /// the walk ends.
  int looks = 0;
};

struct WorkerAsk {
  std::string worker;
  std::vector<std::string> bases;  ///< That it can load.
  int max_leases = 1;
  std::optional<WorkerMemory> memory = {};  ///< If it isn't told, no job is held back for its size.
  std::vector<WorkerPlace> places = {};     ///< All that are there, the asking one too.
  std::optional<QueueWalk> walk = {};       ///< Work::walk of its last look; none: a new one.
};

/// What a look through the queue found.
struct Work {
  std::vector<JobKey> jobs;  ///< About which AcquireLeases would do something now, in its order.
  std::optional<QueueWalk> walk;  ///< For this worker's next look.
};

struct AcquiredLeases {
  std::vector<Job> granted;
  std::vector<Job> refused;  ///< FAILED now, rather than at the end of a run for nothing.
};

/// Finds what there is to do for this worker. Only reads: thousands that wait are looked through
/// without holding writers up.
///
/// One look passes over a few hundred jobs at most: some at the queue's front, for what is urgent
/// is found at once, and then some behind where the last look stopped. So a worker comes to
/// whatever fits it, behind however many that don't. What came meanwhile in front of that place, or
/// has room only since, is found when the walk begins anew: at the queue's end, or once as many
/// looks have found something as it took to get there. So it is overtaken for no longer than a walk
/// takes.
StatusOr<Work> FindWork(Transaction& tx, const WorkerAsk& ask, const LeaseOptions& options);

/// QUEUED -> RUNNING for up to `max_leases` jobs, highest priority first, then oldest; jobs that
/// wait after a kRetry are passed over. Each gets the next token and a new attempt.
///
/// What was checked when a job was created is checked again here, for jobs that wait together can
/// exclude one another: one that CheckResult refuses by now goes to FAILED. One whose adapter
/// another running job makes on another base waits `rival_wait` and is looked at again: only the
/// other's end tells whether it can succeed.
///
/// What the worker says is free is less what it was granted and can't have told yet.
///
/// A job that doesn't fit the worker's memory now waits, says once why, and isn't overtaken there
/// as long as the worker runs others: with their ends it comes to fit, and smaller ones that came
/// behind it would put that off for ever. Where nothing else runs the lack is not of jobs' making,
/// and those behind it go first; so they do on a worker that is too small for it. If no worker that
/// takes jobs could hold it, it says so, once; and again what it waits for when that changes.
///
/// `work`: the jobs that FindWork found. Each of it is looked at again as it is now, with the
/// worker's memory as `ask` tells it now; what came meanwhile is for the next poll.
StatusOr<AcquiredLeases> AcquireLeases(Transaction& tx, const WorkerAsk& ask,
                                       const std::vector<JobKey>& work,
                                       const LeaseOptions& options);

}  // namespace graft::server::core
