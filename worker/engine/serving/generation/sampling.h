#pragma once
/// From a row of logits to the next token.
///
/// The order of what is done to the row is transformers' `generate` (5.23, one beam): biases and
/// penalties (penalties.h), then, unless greedy, temperature, top_k, top_p and min_p
/// (next_tokens.h); a draw from what is left. Its probabilities are those of transformers'
/// processors to 1e-5.
///
/// A draw's randomness is one number of (seed, sequence, step) alone: a sequence's text depends
/// neither on who is beside it nor on being computed again.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/serving/generation/log_probabilities.h"
#include "worker/engine/serving/generation/next_tokens.h"
#include "worker/engine/serving/generation/penalties.h"
#include "worker/engine/serving/generation/settings.h"

namespace graft::worker::engine::generation {

/// Whose draws; the step is the number of tokens that were generated before.
struct DrawKey {
  uint64_t seed = 0;
  uint32_t sequence = 0;  ///< Of the request's n.
};

struct Choice {
  int32_t token = 0;
  /// By the raw logits (log_probabilities.h); if the settings ask for any.
  std::optional<float> log_probability;
  /// The likeliest, as many as the settings ask for, the chosen one among them or not. Valid until
  /// the sampler's next call.
  std::span<const TokenLogProbability> best;
};

/// Thread safety: none; owns scratch, at most 60 bytes a token of the vocabulary, so that
/// after the first call of a kind nothing is allocated. What it answers depends on no call before.
class Sampler {
 public:
  /// Chooses the next token: the likeliest if greedy, of equal ones the lowest number; else one
  /// that is drawn.
  /// Shapes: logits [V] float32.
  /// Requires: `settings` passed Validate for this vocabulary.
  /// Errors: FailedPrecondition, reason NOT_FINITE, if a logit is NaN or +inf; reason NO_TOKEN if
  /// there is none that may be chosen.
  StatusOr<Choice> Sample(std::span<const float> logits, const GenerationSettings& settings,
                          const TokenHistory& history, const DrawKey& key);

  /// The probabilities that Sample chooses by, [V]; 1 for the one token if greedy. Errors as
  /// Sample's.
  StatusOr<std::vector<float>> Probabilities(std::span<const float> logits,
                                             const GenerationSettings& settings,
                                             const TokenHistory& history);

 private:
  /// Checks the logits and sets raw_.
  Status Read(std::span<const float> logits);
  /// Sets row_ and largest_ to the scores that the token is chosen by.
  Status Process(const GenerationSettings& settings, const TokenHistory& history);
  int32_t FirstOfLargest() const;

  ScoredRow raw_, row_;
  float largest_ = 0;                   ///< Of row_.
  std::vector<float> raw_maxima_;       ///< Of blocks of the logits.
  std::vector<float> scores_, maxima_;  ///< Where they differ from the logits.
  Penalties penalties_;
  NextTokens next_tokens_;
  LogProbabilities log_probabilities_;
};

}  // namespace graft::worker::engine::generation
