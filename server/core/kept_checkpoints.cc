#include "server/core/kept_checkpoints.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/core/leases.h"
#include "server/core/registry.h"

namespace graft::server::core {
namespace {

/// True if an alias points at the version, or a rollback could.
bool IsNamed(const Adapter& adapter, int64_t number) {
  return std::ranges::any_of(adapter.aliases, [&](const auto& entry) {
    const Alias& alias = entry.second;
    return alias.version == number ||
           std::ranges::find(alias.history, number) != alias.history.end();
  });
}

/// True if the version is still there, and the one that the job made: its adapter may have been
/// deleted and made anew.
StatusOr<bool> IsStillKept(Transaction& tx, const Job& job, const KeptCheckpoint& kept) {
  const StatusOr<Version> version = tx.GetVersion(job.key.tenant, job.adapter, kept.version);
  if (version.status().code() == StatusCode::kNotFound) return false;
  if (!version.ok()) return version.status();
  return version->job_id == job.key.id && version->checkpoint_step == kept.step;
}

/// Removes those behind the newest `most`, and forgets those that are gone; returns their numbers.
StatusOr<std::vector<int64_t>> RemoveOlder(Transaction& tx, Job& job, size_t most) {
  std::vector<int64_t> removed;
  if (job.kept.size() <= most) return removed;
  GRAFT_ASSIGN_OR_RETURN(const Adapter adapter, tx.GetAdapter(job.key.tenant, job.adapter));
  const size_t older = job.kept.size() - most;
  std::vector<KeptCheckpoint> left;
  for (size_t i = 0; i < job.kept.size(); ++i) {
    const KeptCheckpoint& kept = job.kept[i];
    if (i >= older) {
      left.push_back(kept);
      continue;
    }
    GRAFT_ASSIGN_OR_RETURN(const bool is_there, IsStillKept(tx, job, kept));
    if (!is_there) continue;
    if (IsNamed(adapter, kept.version)) {
      left.push_back(kept);
      continue;
    }
    GRAFT_RETURN_IF_ERROR(DeleteVersion(tx, job.key.tenant, job.adapter, kept.version));
    removed.push_back(kept.version);
  }
  job.kept = std::move(left);
  return removed;
}

JobEvent EventOf(const Version& made, TimeUs now) {
  JobEvent event;
  event.time = now;
  event.kind = EventKind::kCheckpoint;
  event.checkpoint_step = made.checkpoint_step;
  event.checkpoint_bytes = made.bytes;
  event.text = VersionText(made);
  event.sha256 = made.sha256;
  for (const Evaluation& evaluation : made.evaluations) {
    if (evaluation.step == made.checkpoint_step && evaluation.split == "validation")
      event.evaluation = evaluation;
  }
  return event;
}

}  // namespace

int64_t KeptThrough(const Job& job) { return job.kept.empty() ? 0 : job.kept.back().step; }

StatusOr<Kept> KeepCheckpoint(Transaction& tx, const CheckpointToKeep& checkpoint) {
  GRAFT_ASSIGN_OR_RETURN(Job job, GetHeldJob(tx, checkpoint.key, checkpoint.token));
  Kept kept;
  if (checkpoint.step <= KeptThrough(job)) return kept;
  if (checkpoint.most <= 0) {
    return FailedPreconditionError("job " + job.key.id + " keeps no checkpoints")
        .At("spec.hyperparameters.keep_checkpoints");
  }
  Version version = checkpoint.version;
  version.tenant = job.key.tenant;
  version.adapter = job.adapter;
  version.job_id = job.key.id;
  version.base = job.base;
  version.base_proved = true;
  version.request_id.clear();
  version.kept_step = version.checkpoint_step = checkpoint.step;
  GRAFT_ASSIGN_OR_RETURN(kept.made, AddVersion(tx, std::move(version), /*promote=*/false));
  job.kept.push_back({checkpoint.step, kept.made->number});
  GRAFT_ASSIGN_OR_RETURN(kept.removed, RemoveOlder(tx, job, static_cast<size_t>(checkpoint.most)));
  GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {EventOf(*kept.made, tx.Now())}));
  return kept;
}

}  // namespace graft::server::core
