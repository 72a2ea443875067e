#include "worker/engine/serving/generation/vocabulary_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace graft::worker::engine::generation {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kLengths[] = {1, 15, 16, 63, 64, 65, 128, 200, 1000};

std::vector<float> Normal(size_t n, float scale) {
  std::mt19937 random(static_cast<uint32_t>(n));
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> row(n);
  for (float& score : row) score = normal(random);
  return row;
}

TEST(VocabularyRowTest, EachBlockTellsItsLargest) {
  for (const size_t n : kLengths) {
    const std::vector<float> row = Normal(n, 3);
    std::vector<float> maxima(NumBlocks(n));

    EXPECT_TRUE(BlockMaxima(row, maxima));

    for (size_t block = 0; block < maxima.size(); ++block) {
      const auto begin = row.begin() + static_cast<ptrdiff_t>(block * kBlockTokens);
      const auto size = std::min(static_cast<ptrdiff_t>(kBlockTokens), row.end() - begin);
      EXPECT_EQ(maxima[block], *std::max_element(begin, begin + size)) << n;
    }
  }
}

TEST(VocabularyRowTest, ANanIsFoundWhereverItIs) {
  for (const size_t n : kLengths) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> row(n, -kInfinity);
      std::vector<float> maxima(NumBlocks(n));
      row[at] = kNan;
      ASSERT_FALSE(BlockMaxima(row, maxima)) << at << " of " << n;
    }
  }
}

TEST(VocabularyRowTest, InfinitiesAreNoNans) {
  std::vector<float> maxima(2);

  EXPECT_TRUE(BlockMaxima(std::vector<float>(100, -kInfinity), maxima));
  EXPECT_EQ(maxima[1], -kInfinity);
  EXPECT_TRUE(BlockMaxima(std::vector<float>(100, kInfinity), maxima));
  EXPECT_EQ(maxima[1], kInfinity);
}

TEST(VocabularyRowTest, ExponentialsAreExactToTheirLastDigits) {
  for (const size_t n : kLengths) {
    std::vector<float> row = Normal(n, 10);
    const float largest = *std::ranges::max_element(row);
    std::vector<float> weights(n);
    std::vector<double> sums(NumBlocks(n));

    Exponentials(row, largest, weights, sums);

    std::vector<double> expected(sums.size());
    for (size_t i = 0; i < n; ++i) {
      const double exact = std::exp(static_cast<double>(row[i] - largest));
      EXPECT_NEAR(weights[i], exact, 3e-7 * exact) << row[i] - largest;
      EXPECT_EQ(weights[i], Exponential(row[i] - largest)) << "another loop, other bits";
      expected[i / kBlockTokens] += static_cast<double>(weights[i]);
    }
    for (size_t block = 0; block < sums.size(); ++block)
      EXPECT_NEAR(sums[block], expected[block], 1e-6 * expected[block]) << n;
  }
}

TEST(VocabularyRowTest, TheLargestWeighsOneAndWhatIsFarBelowNothing) {
  EXPECT_EQ(Exponential(0), 1.0F);
  EXPECT_EQ(Exponential(-88), 0.0F);
  EXPECT_EQ(Exponential(-kInfinity), 0.0F);
  EXPECT_GT(Exponential(-86.9F), 0.0F);
}

TEST(VocabularyRowTest, DividesAsOneByOne) {
  std::vector<float> row = Normal(131, 5);
  std::vector<float> expected = row;
  for (float& score : expected) score /= 0.7F;

  Divide(row, 0.7F);

  EXPECT_EQ(row, expected);
}

}  // namespace
}  // namespace graft::worker::engine::generation
