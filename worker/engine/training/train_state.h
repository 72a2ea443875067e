#pragma once
/// All of a training run that outlives the process: what its checkpoints hold.

#include <memory>
#include <string>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/training/checkpoint.h"
#include "worker/engine/training/optimizer.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread.
class TrainState {
 public:
  /// At step 0. Requires: the adapter's gradients are enabled.
  TrainState(std::unique_ptr<Adapter> its_adapter, const spec::Hyperparameters& hyperparameters);

  /// Deterministic bytes; `seconds` of training until now.
  std::string Checkpoint(const RunIdentity& identity, double seconds) const;
  /// Errors: DataLoss if the bytes are torn or another method's; FailedPrecondition with reason
  /// BASE_MISMATCH if the run began elsewhere than on `identity`, `base` being its base's name.
  Status Restore(const std::string& checkpoint, const RunIdentity& identity,
                 const std::string& base);

  void KeepBest();
  /// Back to the parameters that KeepBest kept, if it did.
  void RestoreBest();
  /// Step of the parameters that RestoreBest leaves.
  int64_t kept_step() const { return best_P_.defined() ? counters.best_step : counters.step; }

  const std::unique_ptr<Adapter> adapter;
  AdamW optimizer;
  Counters counters;
  std::vector<Evaluation> evaluations;

 private:
  at::Tensor best_P_;  ///< Parameters at counters.best_step, if they are kept.
};

}  // namespace graft::worker::engine
