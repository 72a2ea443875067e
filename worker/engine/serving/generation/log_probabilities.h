#pragma once
/// Log-probabilities of tokens by the model alone: of the raw logits, before any bias, penalty,
/// temperature or selection. So vLLM tells them by default ("raw_logprobs"), and what OpenAI's API
/// tells doesn't depend on top_p either.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/engine/serving/generation/selection.h"

namespace graft::worker::engine::generation {

struct TokenLogProbability {
  int32_t token = 0;
  float log_probability = 0;  ///< Natural logarithm.
};

/// Thread safety: none; owns scratch as long as the vocabulary.
class LogProbabilities {
 public:
  /// Requires: `largest` is the row's largest score, and finite. Borrows the row for `Of`.
  void Set(const ScoredRow& row, float largest);
  float Of(int32_t token) const;
  /// The n likeliest tokens, likeliest first, of equal ones the lowest number; as many as there are
  /// if there are fewer. Valid until the next call.
  std::span<const TokenLogProbability> Best(size_t n);

 private:
  ScoredRow row_;
  float normalizer_ = 0;  ///< log(sum(exp(score)))
  std::vector<float> weights_;
  std::vector<double> sums_;
  std::vector<Candidate> candidates_;
  std::vector<TokenLogProbability> best_;
};

}  // namespace graft::worker::engine::generation
