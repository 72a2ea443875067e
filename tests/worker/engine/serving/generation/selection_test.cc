#include "worker/engine/serving/generation/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {
namespace {

/// A row and its maxima.
struct OwnedRow {
  explicit OwnedRow(std::vector<float> values)
      : scores(std::move(values)), maxima(NumBlocks(scores.size())) {
    BlockMaxima(scores, maxima);
  }
  ScoredRow view() const { return {scores, maxima}; }

  std::vector<float> scores, maxima;
};

/// Rows of many lengths; `steps` > 0 rounds to so many values a unit, so that many are equal.
OwnedRow RandomRow(uint32_t seed, size_t n, float steps) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> values(n);
  for (float& value : values) {
    value = normal(random);
    if (steps > 0) value = std::round(value * steps) / steps;
  }
  return OwnedRow(std::move(values));
}

TEST(SelectionTest, TheKthLargestIsThatOfTheSortedRow) {
  std::vector<float> scratch;
  for (const size_t n : {1, 2, 64, 65, 300, 5000}) {
    for (const float steps : {0.0F, 1.0F}) {
      const OwnedRow row = RandomRow(static_cast<uint32_t>(n), n, steps);
      std::vector<float> sorted = row.scores;
      std::ranges::sort(sorted, std::greater<>());
      for (size_t k = 1; k <= n; k += 1 + k / 8)
        ASSERT_EQ(KthLargest(row.view(), k, scratch), sorted[k - 1]) << k << " of " << n;
    }
  }
}

TEST(SelectionTest, TheKthLargestMayBeMinusInfinity) {
  std::vector<float> values(100, -std::numeric_limits<float>::infinity());
  values[70] = 1;
  const OwnedRow row(values);
  std::vector<float> scratch;

  EXPECT_EQ(KthLargest(row.view(), 1, scratch), 1);
  EXPECT_EQ(KthLargest(row.view(), 2, scratch), values[0]);
}

TEST(SelectionTest, AFewOfManyAreFoundWithoutLookingAtMost) {
  const OwnedRow row = RandomRow(1, 150'000, 0);
  std::vector<float> scratch;

  KthLargest(row.view(), 50, scratch);

  EXPECT_LE(scratch.size(), 200U) << "scores that the last step looked at";
}

TEST(SelectionTest, GathersAllFromABoundOnByNumber) {
  const OwnedRow row = RandomRow(3, 1000, 2);
  std::vector<Candidate> found;

  Gather(row.view(), 1.5F, found);

  size_t next = 0;
  for (size_t token = 0; token < row.scores.size(); ++token) {
    if (row.scores[token] < 1.5F) continue;
    ASSERT_LT(next, found.size());
    EXPECT_EQ(found[next].token, static_cast<int32_t>(token));
    EXPECT_EQ(found[next++].score, row.scores[token]);
  }
  EXPECT_EQ(next, found.size());
}

/// The tokens that a full sort keeps.
std::vector<int32_t> KeptBySorting(std::vector<Candidate> candidates, double mass) {
  std::ranges::stable_sort(candidates, std::greater<>(), &Candidate::score);
  std::vector<int32_t> kept;
  double sum = 0;
  for (const Candidate& candidate : candidates) {
    if (!kept.empty() && sum >= mass) break;
    kept.push_back(candidate.token);
    sum += static_cast<double>(candidate.weight);
  }
  std::ranges::sort(kept);
  return kept;
}

TEST(SelectionTest, MassIsKeptAsAFullSortKeepsIt) {
  for (const size_t n : {1, 2, 3, 100, 4000}) {
    for (const float steps : {0.0F, 1.0F}) {
      const OwnedRow row = RandomRow(static_cast<uint32_t>(n) + 7, n, steps);
      std::vector<Candidate> all, scratch;
      Gather(row.view(), -100, all);
      double total = 0;
      // Powers of two: sums are exact in any order.
      for (Candidate& candidate : all) {
        candidate.weight = std::exp2(std::round(candidate.score));
        total += static_cast<double>(candidate.weight);
      }
      for (const double part : {0.0, 0.01, 0.3, 0.5, 0.9, 0.999, 1.0, 2.0}) {
        std::vector<Candidate> kept = all;
        KeepMass(part * total, kept, scratch);
        std::vector<int32_t> tokens;
        for (const Candidate& candidate : kept) tokens.push_back(candidate.token);
        EXPECT_EQ(tokens, KeptBySorting(all, part * total)) << part << " of " << n;
      }
    }
  }
}

TEST(SelectionTest, OfEqualScoresTheLowestNumbersAreKept) {
  std::vector<Candidate> candidates, scratch;
  for (int32_t token = 0; token < 10; ++token) candidates.push_back({token, 1, 1});

  KeepMass(3, candidates, scratch);

  ASSERT_EQ(candidates.size(), 3U);
  for (int32_t token = 0; token < 3; ++token) EXPECT_EQ(candidates[token].token, token);
}

}  // namespace
}  // namespace graft::worker::engine::generation
