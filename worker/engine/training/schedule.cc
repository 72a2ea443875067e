#include "worker/engine/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/random.h"

namespace graft::worker::engine {
namespace {

int64_t DivideUp(int64_t count, int64_t by) { return (count + by - 1) / by; }

}  // namespace

DataSchedule::DataSchedule(const TokenizedSplit& split, const spec::Hyperparameters& hp)
    : split_(split),
      hyperparameters_(hp),
      seed_(hp.seed),
      batch_size_(hp.batch_size),
      batch_tokens_(hp.batch_tokens),
      accumulation_(hp.gradient_accumulation_steps) {
  if (batch_tokens_ <= 0 || hp.max_steps > 0) {
    total_steps_ = spec::TotalSteps(hp, DivideUp(split.size(), batch_size_));
    return;
  }
  const auto whole = static_cast<int64_t>(hp.epochs);
  const double rest = hp.epochs - static_cast<double>(whole);
  total_steps_ = FirstStep(whole);
  if (rest > 0) {
    const auto steps = static_cast<double>(FirstStep(whole + 1) - total_steps_);
    total_steps_ += static_cast<int64_t>(std::ceil(rest * steps));
  }
}

int64_t DataSchedule::FirstStep(int64_t epoch) const {
  if (batch_tokens_ <= 0)
    return epoch * DivideUp(DivideUp(split_.size(), batch_size_), accumulation_);
  while (static_cast<int64_t>(first_steps_.size()) <= epoch) {
    const auto last = static_cast<int64_t>(first_steps_.size()) - 1;
    const auto batches = static_cast<int64_t>(Epoch(last).size());
    first_steps_.push_back(first_steps_.back() + DivideUp(batches, accumulation_));
  }
  return first_steps_[epoch];
}

int64_t DataSchedule::EpochOf(int64_t step) const {
  if (batch_tokens_ <= 0) return step / FirstStep(1);
  while (first_steps_.back() <= step) FirstStep(static_cast<int64_t>(first_steps_.size()));
  const auto next = std::upper_bound(first_steps_.begin(), first_steps_.end(), step);
  return next - first_steps_.begin() - 1;
}

const DataSchedule::Batches& DataSchedule::Epoch(int64_t epoch) const {
  if (epoch == cached_epoch_) return cached_;
  const auto order = RandomPermutation(static_cast<uint32_t>(split_.size()), seed_,
                                       RandomStream::kShuffle, static_cast<uint64_t>(epoch));
  cached_.clear();
  int64_t tokens = 0;
  for (const uint32_t example : order) {
    const int64_t length = split_.length(example);
    const bool full =
        cached_.empty() ||
        (batch_tokens_ > 0 ? tokens + length > batch_tokens_
                           : static_cast<int64_t>(cached_.back().size()) >= batch_size_);
    if (full) {
      cached_.emplace_back();
      tokens = 0;
    }
    cached_.back().push_back(example);
    tokens += length;
  }
  cached_epoch_ = epoch;
  return cached_;
}

std::vector<std::vector<uint32_t>> DataSchedule::MicroBatches(int64_t step) const {
  const int64_t epoch = EpochOf(step);
  const int64_t first = (step - FirstStep(epoch)) * accumulation_;
  const Batches& all = Epoch(epoch);
  const int64_t last = std::min(first + accumulation_, static_cast<int64_t>(all.size()));
  return {all.begin() + first, all.begin() + last};
}

double DataSchedule::EpochAfter(int64_t step) const {
  const int64_t epoch = EpochOf(step);
  const int64_t first = FirstStep(epoch);
  return static_cast<double>(epoch) +
         static_cast<double>(step - first) / static_cast<double>(FirstStep(epoch + 1) - first);
}

spec::LargestPass DataSchedule::LargestPass(bool shares_beginnings) const {
  std::vector<spec::ExampleRows> examples;
  spec::CommonBeginning common;
  for (int64_t i = 0; i < split_.size(); ++i) {
    examples.push_back(
        {static_cast<int32_t>(split_.length(i)), static_cast<int32_t>(split_.num_targets(i))});
    if (!shares_beginnings) continue;
    const Sequence sequence = split_.sequence(i);
    common.Add({sequence.ids, static_cast<size_t>(sequence.length)}, sequence.wanted.front());
  }
  return spec::LargestPassOf(hyperparameters_, std::move(examples), common.tokens());
}

}  // namespace graft::worker::engine
