#include "worker/engine/serving/generation/penalties.h"

#include <limits>
#include <utility>

namespace graft::worker::engine::generation {
namespace {

bool IsScored(int32_t token, std::span<const float> scores) {
  return token >= 0 && static_cast<size_t>(token) < scores.size();
}

bool EndsTooSoon(const StopSettings& stopping, const TokenHistory& history) {
  return !stopping.end_tokens.empty() &&
         static_cast<int64_t>(history.generated().size()) < stopping.min_tokens.value_or(0);
}

bool CountsGenerated(const SamplingSettings& sampling, const TokenHistory& history) {
  return !history.generated().empty() && (sampling.frequency_penalty.value_or(0) != 0 ||
                                          sampling.presence_penalty.value_or(0) != 0);
}

}  // namespace

bool Penalties::Change(const GenerationSettings& settings, const TokenHistory& history) {
  const SamplingSettings& sampling = settings.sampling;
  return !sampling.logit_bias.empty() || sampling.repetition_penalty.value_or(1) != 1 ||
         CountsGenerated(sampling, history) || EndsTooSoon(settings.stopping, history);
}

void Penalties::Repetition(float penalty, std::span<const int32_t> tokens,
                           std::span<float> scores) {
  for (const int32_t token : tokens) {
    if (!IsScored(token, scores) || std::exchange(counts_[token], 1U) != 0) continue;
    scores[token] = scores[token] < 0 ? scores[token] * penalty : scores[token] / penalty;
  }
  for (const int32_t token : tokens) {
    if (IsScored(token, scores)) counts_[token] = 0;
  }
}

void Penalties::Generated(float frequency, float presence, std::span<const int32_t> tokens,
                          std::span<float> scores) {
  for (const int32_t token : tokens) {
    if (IsScored(token, scores)) ++counts_[token];
  }
  for (const int32_t token : tokens) {
    if (!IsScored(token, scores) || counts_[token] == 0) continue;
    scores[token] -= frequency * static_cast<float>(std::exchange(counts_[token], 0U));
    scores[token] -= presence;
  }
}

void Penalties::Apply(const GenerationSettings& settings, const TokenHistory& history,
                      std::span<float> scores) {
  const SamplingSettings& sampling = settings.sampling;
  counts_.resize(scores.size());
  for (const TokenBias& entry : sampling.logit_bias) {
    if (IsScored(entry.token, scores)) scores[entry.token] += static_cast<float>(entry.bias);
  }
  if (const double penalty = sampling.repetition_penalty.value_or(1); penalty != 1)
    Repetition(static_cast<float>(penalty), history.tokens, scores);
  if (CountsGenerated(sampling, history)) {
    Generated(static_cast<float>(sampling.frequency_penalty.value_or(0)),
              static_cast<float>(sampling.presence_penalty.value_or(0)), history.generated(),
              scores);
  }
  if (EndsTooSoon(settings.stopping, history)) {
    for (const int32_t token : settings.stopping.end_tokens) {
      if (IsScored(token, scores)) scores[token] = -std::numeric_limits<float>::infinity();
    }
  }
}

}  // namespace graft::worker::engine::generation
