#pragma once
/// Which examples make up which micro-batch and step: fixed by data, seed and spec when a job
/// starts, never by load.

#include <cstdint>
#include <vector>

#include "common/spec/job_spec.h"
#include "worker/engine/tokenized.h"

namespace graft::worker::engine {

/// A cursor over (epoch, micro-batch). Thread safety: const after creation.
class DataSchedule {
 public:
  /// Requires: at least one example.
  DataSchedule(const TokenizedSplit& split, const spec::Hyperparameters& hyperparameters);

  int64_t total_steps() const { return total_steps_; }
  /// Optimizer steps of one epoch, the last one possibly of fewer micro-batches.
  int64_t steps_per_epoch() const;
  int64_t micro_batches_per_epoch() const { return micro_batches_per_epoch_; }
  /// The micro-batches of optimizer step `step` (from 0), each a list of example numbers.
  std::vector<std::vector<uint32_t>> MicroBatches(int64_t step) const;
  /// How much of the epochs is done after `step` steps.
  double EpochAfter(int64_t step) const;

 private:
  std::vector<std::vector<uint32_t>> Epoch(int64_t epoch) const;

  const TokenizedSplit& split_;
  const uint64_t seed_;
  const int64_t batch_size_, batch_tokens_, accumulation_;
  int64_t micro_batches_per_epoch_ = 0;
  int64_t total_steps_ = 0;
  mutable int64_t cached_epoch_ = -1;
  mutable std::vector<std::vector<uint32_t>> cached_;
};

}  // namespace graft::worker::engine
