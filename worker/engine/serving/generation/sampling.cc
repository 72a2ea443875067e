#include "worker/engine/serving/generation/sampling.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/random.h"
#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {
namespace {

Status NotFinite() {
  return FailedPreconditionError(
             "the model's logits hold a NaN or an infinity, so no token can be chosen; the version "
             "or its base is damaged, or overflows in this precision")
      .AddDetail({"NOT_FINITE", {}, 0, {}, {}});
}

Status NoToken() {
  return FailedPreconditionError(
             "no token may be chosen: all logits are -inf once end tokens are left out; lower "
             "min_tokens, or the model's output is damaged")
      .AddDetail({"NO_TOKEN", {}, 0, {}, {}});
}

double Uniform(const DrawKey& key, size_t step) {
  const uint64_t substream = uint64_t{key.sequence} << 32 | static_cast<uint32_t>(step);
  return PhiloxSequence(key.seed, RandomStream::kSampling, substream).NextDouble();
}

}  // namespace

Status Sampler::Read(std::span<const float> logits) {
  raw_maxima_.resize(NumBlocks(logits.size()));
  if (!BlockMaxima(logits, raw_maxima_)) return NotFinite();
  raw_ = {logits, raw_maxima_};
  if (const float largest = Largest(raw_); !std::isfinite(largest))
    return largest > 0 ? NotFinite() : NoToken();
  return OkStatus();
}

Status Sampler::Process(const GenerationSettings& settings, const TokenHistory& history) {
  row_ = raw_;
  const bool has_penalties = Penalties::Change(settings, history);
  const double temperature =
      settings.sampling.is_greedy() ? 1 : settings.sampling.temperature.value_or(1);
  if (has_penalties || temperature != 1) {
    scores_.assign(raw_.scores.begin(), raw_.scores.end());
    maxima_ = raw_maxima_;
    row_ = {scores_, maxima_};
  }
  if (has_penalties) {
    penalties_.Apply(settings, history, scores_);
    BlockMaxima(scores_, maxima_);
  }
  if (temperature != 1) {
    // The largest stays the largest, for division keeps the order.
    Divide(scores_, static_cast<float>(temperature));
    Divide(maxima_, static_cast<float>(temperature));
  }
  largest_ = Largest(row_);
  if (std::isfinite(largest_)) return OkStatus();
  return largest_ > 0 ? NotFinite() : NoToken();
}

int32_t Sampler::FirstOfLargest() const {
  const auto block = std::ranges::find(row_.maxima, largest_) - row_.maxima.begin();
  const auto begin = row_.scores.begin() + block * static_cast<ptrdiff_t>(kBlockTokens);
  return static_cast<int32_t>(std::find(begin, row_.scores.end(), largest_) - row_.scores.begin());
}

StatusOr<Choice> Sampler::Sample(std::span<const float> logits, const GenerationSettings& settings,
                                 const TokenHistory& history, const DrawKey& key) {
  GRAFT_RETURN_IF_ERROR(Read(logits));
  GRAFT_RETURN_IF_ERROR(Process(settings, history));
  Choice choice;
  if (settings.sampling.is_greedy()) {
    choice.token = FirstOfLargest();
  } else {
    next_tokens_.Set(row_, largest_, settings.sampling);
    choice.token = next_tokens_.Draw(Uniform(key, history.generated().size()));
  }
  if (const auto wanted = settings.sampling.logprobs; wanted.has_value()) {
    log_probabilities_.Set(raw_, Largest(raw_));
    choice.log_probability = log_probabilities_.Of(choice.token);
    choice.best = log_probabilities_.Best(static_cast<size_t>(*wanted));
  }
  return choice;
}

StatusOr<std::vector<float>> Sampler::Probabilities(std::span<const float> logits,
                                                    const GenerationSettings& settings,
                                                    const TokenHistory& history) {
  GRAFT_RETURN_IF_ERROR(Read(logits));
  GRAFT_RETURN_IF_ERROR(Process(settings, history));
  if (settings.sampling.is_greedy()) {
    std::vector<float> probabilities(logits.size());
    probabilities[static_cast<size_t>(FirstOfLargest())] = 1;
    return probabilities;
  }
  next_tokens_.Set(row_, largest_, settings.sampling);
  return next_tokens_.Probabilities(logits.size());
}

}  // namespace graft::worker::engine::generation
