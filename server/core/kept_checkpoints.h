#pragma once
/// Checkpoints of running jobs that are kept as versions of their adapters: made and, as newer ones
/// come, removed, each in the one transaction that also writes the job's row and event.

#include <optional>
#include <vector>

#include "server/core/store.h"

namespace graft::server::core {

/// A checkpoint whose files a worker has stored.
struct CheckpointToKeep {
  JobKey key;
  int64_t token = 0;  ///< Of its lease.
  int64_t step = 0;
  Version version;  ///< Number, tenant, adapter, base, job, steps and times are filled in here.
  int most = 0;     ///< How many checkpoints the job keeps.
};

struct Kept {
  std::optional<Version> made;   ///< Nothing if the step isn't new.
  std::vector<int64_t> removed;  ///< Numbers of older ones.
};

/// Makes it a version, without an alias. A step that was kept before, or one before such a step,
/// changes nothing: an attempt that was resumed tells again what its checkpoint doesn't know of.
/// Behind the newest `most` the job's kept checkpoints are removed, but one that an alias points at
/// or could be rolled back to: somebody chose it. Those are looked at again with the next one, and
/// what is there when the job ends stays.
/// Errors: Aborted if the token is old or the job gone; FailedPrecondition if the job keeps no
/// checkpoints or its adapter is now one of another base.
StatusOr<Kept> KeepCheckpoint(Transaction& tx, const CheckpointToKeep& checkpoint);

/// Step of the newest checkpoint that the job kept; 0: none.
int64_t KeptThrough(const Job& job);

}  // namespace graft::server::core
