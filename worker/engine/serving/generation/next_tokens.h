#pragma once
/// The distribution that a token is drawn from: what top_k, top_p and min_p leave of a row.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/engine/serving/generation/selection.h"
#include "worker/engine/serving/generation/settings.h"

namespace graft::worker::engine::generation {

/// Thread safety: none; owns scratch as long as the vocabulary, reused by every Set.
class NextTokens {
 public:
  /// Keeps, in this order, as transformers 5.23 does with do_sample and one beam:
  ///   top_k  the k largest scores, and all that equal the k-th
  ///   top_p  of these the fewest of the largest that hold top_p of the probability, one at least:
  ///          the one that crosses it is kept; of equal scores the lowest numbers are (chance in
  ///          transformers, whose sort isn't stable)
  ///   min_p  of these what has min_p of the likeliest one's probability
  /// Requires: the scores were divided by the temperature; `largest` is the row's, and finite.
  void Set(const ScoredRow& row, float largest, const SamplingSettings& sampling);

  /// The token at `u` of the distribution, tokens by number: P(token) is its part of [0, 1).
  /// Requires: 0 <= u < 1; Set was called.
  int32_t Draw(double u) const;

  /// Each token's probability; 0 for those that aren't left. For tests and for who wants to look.
  std::vector<float> Probabilities(size_t vocabulary) const;

 private:
  void WeighAll(const ScoredRow& row, float largest);
  void KeepTopP(const ScoredRow& row, double top_p);

  bool has_all_ = false;               ///< Nothing was left out: weights_ are the distribution.
  std::vector<Candidate> candidates_;  ///< Else these are, by number.
  double total_ = 0;                   ///< Of their weights.
  std::vector<float> weights_;         ///< By token.
  std::vector<double> sums_;           ///< Of each block of weights.
  std::vector<float> scores_;          ///< Scratch.
  std::vector<Candidate> scratch_;
};

}  // namespace graft::worker::engine::generation
