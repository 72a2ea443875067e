#include "worker/engine/serving/generation/next_tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {
namespace {

double TotalOf(const std::vector<Candidate>& candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += static_cast<double>(candidate.weight);
  return total;
}

/// The first of `n` weights whose sum with those before it exceeds `target`; rounding may leave
/// none, then the last that isn't 0.
template <typename WeightOf>
size_t Find(size_t n, double target, WeightOf weight_of) {
  size_t last = 0;
  for (size_t i = 0; i < n; ++i) {
    const double weight = weight_of(i);
    if (weight <= 0) continue;
    last = i;
    if (target < weight) break;
    target -= weight;
  }
  return last;
}

}  // namespace

void NextTokens::WeighAll(const ScoredRow& row, float largest) {
  weights_.resize(row.scores.size());
  sums_.resize(row.maxima.size());
  Exponentials(row.scores, largest, weights_, sums_);
  total_ = std::accumulate(sums_.begin(), sums_.end(), 0.0);
}

void NextTokens::KeepTopP(const ScoredRow& row, double top_p) {
  // Most often few tokens hold the mass. A bound that leaves too few is lowered.
  const double mass = top_p * total_;
  for (const size_t part : {16, 2, 0}) {
    const size_t k = part == 0 ? 0 : row.maxima.size() / part;
    if (part != 0 && k == 0) continue;
    const float least =
        k == 0 ? -std::numeric_limits<float>::infinity() : KthLargest(row, k, scores_);
    Gather(row, least, candidates_);
    for (Candidate& candidate : candidates_)
      candidate.weight = weights_[static_cast<size_t>(candidate.token)];
    if (k == 0 || TotalOf(candidates_) >= mass) break;
  }
  KeepMass(mass, candidates_, scratch_);
}

void NextTokens::Set(const ScoredRow& row, float largest, const SamplingSettings& sampling) {
  const size_t vocabulary = row.scores.size();
  const auto top_k = static_cast<size_t>(sampling.top_k.value_or(0));
  const bool has_top_k = top_k > 0 && top_k < vocabulary;
  const double top_p = sampling.top_p.value_or(1);
  const double min_p = sampling.min_p.value_or(0);
  has_all_ = !has_top_k && top_p >= 1 && min_p <= 0;
  if (has_all_) {
    WeighAll(row, largest);
    return;
  }
  if (!has_top_k && top_p < 1) {
    WeighAll(row, largest);
    KeepTopP(row, top_p);
  } else {
    // Well below what min_p leaves: the weights decide.
    const float least = has_top_k ? KthLargest(row, top_k, scores_)
                                  : largest + static_cast<float>(std::log(min_p)) - 1;
    Gather(row, least, candidates_);
    for (Candidate& candidate : candidates_)
      candidate.weight = Exponential(candidate.score - largest);
    if (top_p < 1) KeepMass(top_p * TotalOf(candidates_), candidates_, scratch_);
  }
  if (min_p > 0) {
    std::erase_if(candidates_, [least = static_cast<float>(min_p)](const Candidate& candidate) {
      return candidate.weight < least;
    });
  }
  total_ = TotalOf(candidates_);
}

int32_t NextTokens::Draw(double u) const {
  double target = u * total_;
  if (!has_all_) {
    const auto weight_of = [&](size_t i) { return static_cast<double>(candidates_[i].weight); };
    return candidates_[Find(candidates_.size(), target, weight_of)].token;
  }
  const size_t block = Find(sums_.size(), target, [&](size_t i) { return sums_[i]; });
  for (size_t i = 0; i < block; ++i) target -= sums_[i];
  const size_t begin = block * kBlockTokens;
  const size_t n = std::min(kBlockTokens, weights_.size() - begin);
  const auto weight_of = [&](size_t i) { return static_cast<double>(weights_[begin + i]); };
  return static_cast<int32_t>(begin + Find(n, target, weight_of));
}

std::vector<float> NextTokens::Probabilities(size_t vocabulary) const {
  std::vector<float> probabilities(vocabulary);
  const auto set = [&](size_t token, float weight) {
    probabilities[token] = static_cast<float>(static_cast<double>(weight) / total_);
  };
  if (has_all_) {
    for (size_t i = 0; i < weights_.size(); ++i) set(i, weights_[i]);
  } else {
    for (const Candidate& candidate : candidates_)
      set(static_cast<size_t>(candidate.token), candidate.weight);
  }
  return probabilities;
}

}  // namespace graft::worker::engine::generation
