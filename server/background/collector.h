#pragma once
/// Removes what lies in the object store and no row points at. An attempt's or import's file is
/// kept while its attempt may still need it (the job hasn't ended, its token is the newest, and no
/// later checkpoint replaced it), while it is the job's checkpoint, while a version lies there, or
/// while a job that hasn't ended continues it, also if its row is gone. A checkpoint that is to
/// become a version is kept until the job has kept that step or a later one. An ingested data set
/// is kept while a job that hasn't ended trains on it, and for a day after it was last put.

#include <string>

#include "common/base/ids.h"
#include "server/background/backend.h"
#include "server/core/store.h"

namespace graft::server::background {

/// Returns how many objects were removed. Errors: of the stores; then what was removed stays
/// removed.
calls::Awaitable<StatusOr<int64_t>> CollectOrphans(Backend& backend, std::string tenant,
                                                   TimeUs now);

/// Where an attempt's object belongs, from its key.
struct AttemptObject {
  std::string job;
  int64_t token = 0;
  bool is_artifact = false;      ///< A file of a version, or of what is to be one.
  int64_t checkpoint_step = -1;  ///< -1: no checkpoint to resume from.
  int64_t kept_step = -1;        ///< -1: none to be kept as a version.
};
/// NotFound if `key` isn't one of an attempt's.
StatusOr<AttemptObject> ParseAttemptKey(const std::string& tenant, const std::string& key);

}  // namespace graft::server::background
