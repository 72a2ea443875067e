#pragma once
/// Which examples make up which micro-batch and step: fixed by data, seed and spec when a job
/// starts, never by load.

#include <cstdint>
#include <vector>

#include "common/spec/job_spec.h"
#include "common/spec/training_memory.h"
#include "worker/engine/tasks/tokenized.h"

namespace graft::worker::engine {

/// A cursor over (epoch, micro-batch). An epoch takes every example once, in an order of its own;
/// with a token budget its number of micro-batches depends on that order.
/// Thread safety: confined to one thread; const methods fill caches.
class DataSchedule {
 public:
  /// Requires: at least one example. Keeps a reference to `split`, and a copy of the others.
  DataSchedule(const TokenizedSplit& split, const spec::Hyperparameters& hyperparameters);

  int64_t total_steps() const { return total_steps_; }
  /// The optimizer step (from 0) that `epoch` begins with; the last step of an epoch may have fewer
  /// micro-batches.
  int64_t FirstStep(int64_t epoch) const;
  /// The micro-batches of optimizer step `step` (from 0), each a list of example numbers.
  std::vector<std::vector<uint32_t>> MicroBatches(int64_t step) const;
  /// How many epochs are done after `step` steps.
  double EpochAfter(int64_t step) const;
  /// No micro-batch of any epoch is larger. `shares_beginnings`: see MethodSpec.
  spec::LargestPass LargestPass(bool shares_beginnings) const;

 private:
  using Batches = std::vector<std::vector<uint32_t>>;

  int64_t EpochOf(int64_t step) const;
  /// Valid until another epoch is asked for.
  const Batches& Epoch(int64_t epoch) const;

  const TokenizedSplit& split_;
  const spec::Hyperparameters hyperparameters_;
  const uint64_t seed_;
  const int64_t batch_size_, batch_tokens_, accumulation_;
  int64_t total_steps_ = 0;
  mutable std::vector<int64_t> first_steps_ = {0};  ///< With a token budget; grows as asked.
  mutable int64_t cached_epoch_ = -1;
  mutable Batches cached_;
};

}  // namespace graft::worker::engine
