#include "worker/engine/serving/generation/log_probabilities.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/engine/serving/generation/vocabulary_row.h"

namespace graft::worker::engine::generation {
namespace {

class LogProbabilitiesTest : public ::testing::Test {
 protected:
  void Set(std::vector<float> logits) {
    logits_ = std::move(logits);
    maxima_.resize(NumBlocks(logits_.size()));
    BlockMaxima(logits_, maxima_);
    const ScoredRow row{logits_, maxima_};
    probabilities_.Set(row, Largest(row));
  }

  std::vector<float> logits_, maxima_;
  LogProbabilities probabilities_;
};

TEST_F(LogProbabilitiesTest, AreTheLogarithmsOfASoftmax) {
  Set({1, 2, 3, -50});
  const double sum = std::exp(1) + std::exp(2) + std::exp(3) + std::exp(-50);

  for (int32_t token = 0; token < 4; ++token)
    EXPECT_NEAR(probabilities_.Of(token), logits_[token] - std::log(sum), 4e-6);  // Of -53.
}

TEST_F(LogProbabilitiesTest, LargeLogitsDontOverflow) {
  Set({1e30F, 1e30F, -1e30F});

  EXPECT_TRUE(std::isfinite(probabilities_.Of(0)));
  EXPECT_LT(probabilities_.Of(2), -1e30F);
}

TEST_F(LogProbabilitiesTest, WhatCannotComeHasMinusInfinity) {
  Set({0, -std::numeric_limits<float>::infinity()});

  EXPECT_EQ(probabilities_.Of(0), 0);
  EXPECT_EQ(probabilities_.Of(1), -std::numeric_limits<float>::infinity());
}

TEST_F(LogProbabilitiesTest, TheBestComeFirstAndOfEqualOnesTheLowestNumber) {
  std::vector<float> logits(500, 0);
  logits[77] = 3;
  logits[400] = logits[5] = logits[123] = 2;
  Set(logits);

  const auto best = probabilities_.Best(4);

  ASSERT_EQ(best.size(), 4U);
  const int32_t expected[] = {77, 5, 123, 400};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(best[i].token, expected[i]);
    EXPECT_EQ(best[i].log_probability, probabilities_.Of(expected[i]));
  }
}

TEST_F(LogProbabilitiesTest, NoMoreAreToldThanThereAre) {
  Set({1, 2});

  EXPECT_EQ(probabilities_.Best(20).size(), 2U);
  EXPECT_TRUE(probabilities_.Best(0).empty());
}

}  // namespace
}  // namespace graft::worker::engine::generation
