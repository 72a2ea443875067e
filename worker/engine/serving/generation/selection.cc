#include "worker/engine/serving/generation/selection.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

bool IsBefore(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score > b.score : a.token < b.token;
}

/// Calls visit(token, score) for the scores of at least `least`.
template <typename Visit>
void ForEachFrom(const ScoredRow& row, float least, Visit visit) {
  for (size_t block = 0; block < row.maxima.size(); ++block) {
    if (row.maxima[block] < least) continue;
    const size_t end = std::min((block + 1) * kBlockTokens, row.scores.size());
    for (size_t token = block * kBlockTokens; token < end; ++token) {
      if (row.scores[token] >= least) visit(token, row.scores[token]);
    }
  }
}

float KthOf(std::vector<float>& values, size_t k) {
  const auto kth = values.begin() + static_cast<ptrdiff_t>(k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<>());
  return *kth;
}

}  // namespace

float Largest(const ScoredRow& row) {
  return row.maxima.empty() ? kLowest : std::ranges::max(row.maxima);
}

float KthLargest(const ScoredRow& row, size_t k, std::vector<float>& scratch) {
  // k blocks hold a score of at least the k-th largest maximum each.
  float bound = kLowest;
  if (k <= row.maxima.size()) {
    scratch.assign(row.maxima.begin(), row.maxima.end());
    bound = KthOf(scratch, k);
  }
  scratch.clear();
  ForEachFrom(row, bound, [&](size_t, float score) { scratch.push_back(score); });
  return KthOf(scratch, k);
}

void Gather(const ScoredRow& row, float least, std::vector<Candidate>& found) {
  found.clear();
  ForEachFrom(row, least, [&](size_t token, float score) {
    found.push_back({static_cast<int32_t>(token), score, 0});
  });
}

void KeepMass(double mass, std::vector<Candidate>& candidates, std::vector<Candidate>& scratch) {
  scratch = candidates;
  // The first `low` are the largest and come to less than `mass`; the first `high` to enough.
  size_t low = 0, high = scratch.size();
  double sum = 0;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    const auto begin = scratch.begin();
    std::nth_element(begin + static_cast<ptrdiff_t>(low), begin + static_cast<ptrdiff_t>(middle),
                     begin + static_cast<ptrdiff_t>(high), IsBefore);
    double part = 0;
    for (size_t i = low; i < middle; ++i) part += static_cast<double>(scratch[i].weight);
    if (sum + part >= mass) {
      high = middle;
    } else {
      sum += part;
      low = middle;
    }
  }
  const Candidate last = scratch[low];
  std::erase_if(candidates, [&](const Candidate& candidate) { return IsBefore(last, candidate); });
}

}  // namespace graft::worker::engine::generation
