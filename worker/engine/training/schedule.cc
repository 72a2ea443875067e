#include "worker/engine/training/schedule.h"

#include <algorithm>

#include "common/base/random.h"

namespace graft::worker::engine {

DataSchedule::DataSchedule(const TokenizedSplit& split, const spec::Hyperparameters& hp)
    : split_(split),
      seed_(hp.seed),
      batch_size_(hp.batch_size),
      batch_tokens_(hp.batch_tokens),
      accumulation_(hp.gradient_accumulation_steps) {
  // With a token budget the count depends on the order; the first epoch's stands for all, and later
  // epochs are cut or padded to it by merging (see Epoch), so that the number of steps is known
  // when the job starts.
  micro_batches_per_epoch_ = static_cast<int64_t>(Epoch(0).size());
  total_steps_ = spec::TotalSteps(hp, micro_batches_per_epoch_);
}

int64_t DataSchedule::steps_per_epoch() const {
  return (micro_batches_per_epoch_ + accumulation_ - 1) / accumulation_;
}

std::vector<std::vector<uint32_t>> DataSchedule::Epoch(int64_t epoch) const {
  if (epoch == cached_epoch_) return cached_;
  const auto n = static_cast<uint32_t>(split_.size());
  const auto order =
      RandomPermutation(n, seed_, RandomStream::kShuffle, static_cast<uint64_t>(epoch));
  std::vector<std::vector<uint32_t>> batches;
  int64_t tokens = 0;
  for (const uint32_t example : order) {
    const int64_t length = split_.length(example);
    const bool full =
        !batches.empty() &&
        (batch_tokens_ > 0 ? tokens + length > batch_tokens_
                           : static_cast<int64_t>(batches.back().size()) >= batch_size_);
    if (batches.empty() || full) {
      batches.emplace_back();
      tokens = 0;
    }
    batches.back().push_back(example);
    tokens += length;
  }
  if (micro_batches_per_epoch_ > 0 &&
      static_cast<int64_t>(batches.size()) != micro_batches_per_epoch_) {
    // Only with a token budget: keep the fixed number of micro-batches, none empty, every example
    // once.
    std::vector<std::vector<uint32_t>> fixed(micro_batches_per_epoch_);
    const auto parts = static_cast<size_t>(micro_batches_per_epoch_);
    for (size_t i = 0; i < order.size(); ++i) fixed[i * parts / order.size()].push_back(order[i]);
    batches = std::move(fixed);
  }
  cached_epoch_ = epoch;
  cached_ = batches;
  return batches;
}

std::vector<std::vector<uint32_t>> DataSchedule::MicroBatches(int64_t step) const {
  const int64_t epoch = step / steps_per_epoch();
  const int64_t first = step % steps_per_epoch() * accumulation_;
  std::vector<std::vector<uint32_t>> all = Epoch(epoch);
  const int64_t last = std::min(first + accumulation_, static_cast<int64_t>(all.size()));
  return {all.begin() + first, all.begin() + last};
}

double DataSchedule::EpochAfter(int64_t step) const {
  return static_cast<double>(step) / static_cast<double>(steps_per_epoch());
}

}  // namespace graft::worker::engine
