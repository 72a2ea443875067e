#include "worker/engine/serving/generation/log_probabilities.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {

void LogProbabilities::Set(const ScoredRow& row, float largest) {
  row_ = row;
  weights_.resize(row.scores.size());
  sums_.resize(row.maxima.size());
  Exponentials(row.scores, largest, weights_, sums_);
  const double sum = std::accumulate(sums_.begin(), sums_.end(), 0.0);
  normalizer_ = static_cast<float>(static_cast<double>(largest) + std::log(sum));
}

float LogProbabilities::Of(int32_t token) const {
  return row_.scores[static_cast<size_t>(token)] - normalizer_;
}

std::span<const TokenLogProbability> LogProbabilities::Best(size_t n) {
  best_.clear();
  n = std::min(n, row_.scores.size());
  if (n == 0) return best_;
  Gather(row_, KthLargest(row_, n, weights_), candidates_);
  std::ranges::partial_sort(candidates_, candidates_.begin() + static_cast<ptrdiff_t>(n),
                            [](const Candidate& a, const Candidate& b) {
                              return a.score != b.score ? a.score > b.score : a.token < b.token;
                            });
  for (size_t i = 0; i < n; ++i) best_.push_back({candidates_[i].token, Of(candidates_[i].token)});
  return best_;
}

}  // namespace graft::worker::engine::generation
