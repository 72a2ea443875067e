#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/spec/job_spec.h"

namespace graft::spec {
namespace {

using testing::DoubleNear;
using testing::Pointwise;

std::vector<double> Factors(const Hyperparameters& hp, int64_t total_steps, int64_t count) {
  std::vector<double> factors;
  for (int64_t step = 0; step < count; ++step) factors.push_back(LrFactor(hp, step, total_steps));
  return factors;
}

Hyperparameters With(LrSchedule schedule, int64_t warmup_steps) {
  Hyperparameters hp;
  hp.lr_schedule = schedule;
  hp.warmup_steps = warmup_steps;
  return hp;
}

auto Near(const std::vector<double>& expected) { return Pointwise(DoubleNear(1e-11), expected); }

// The numbers are get_last_lr() of transformers 5.23.0's
// get_{linear,cosine,constant}_schedule_with_warmup with a learning rate of 1.

TEST(LrFactorTest, LinearRisesAndThenFallsToZeroAtTheEnd) {
  EXPECT_THAT(Factors(With(LrSchedule::kLinear, 3), 10, 12),
              Near({0.0, 0.333333333333, 0.666666666667, 1.0, 0.857142857143, 0.714285714286,
                    0.571428571429, 0.428571428571, 0.285714285714, 0.142857142857, 0.0, 0.0}));
}

TEST(LrFactorTest, CosineRisesAndThenFallsToZeroAtTheEnd) {
  EXPECT_THAT(Factors(With(LrSchedule::kCosine, 3), 10, 11),
              Near({0.0, 0.333333333333, 0.666666666667, 1.0, 0.950484433951, 0.811744900929,
                    0.611260466978, 0.388739533022, 0.188255099071, 0.049515566049, 0.0}));
}

TEST(LrFactorTest, ConstantRisesAndStays) {
  EXPECT_THAT(Factors(With(LrSchedule::kConstant, 3), 10, 6),
              Near({0.0, 0.333333333333, 0.666666666667, 1.0, 1.0, 1.0}));
}

TEST(LrFactorTest, WithoutWarmupTheFirstStepIsFull) {
  EXPECT_THAT(Factors(With(LrSchedule::kLinear, 0), 4, 6), Near({1, 0.75, 0.5, 0.25, 0, 0}));
  EXPECT_THAT(Factors(With(LrSchedule::kCosine, 0), 4, 5),
              Near({1, 0.853553390593, 0.5, 0.146446609407, 0}));
  EXPECT_THAT(Factors(With(LrSchedule::kConstant, 0), 4, 5), Near({1, 1, 1, 1, 1}));
}

TEST(LrFactorTest, AWarmupLongerThanTheRunOnlyRises) {
  EXPECT_THAT(
      Factors(With(LrSchedule::kLinear, 6), 4, 8),
      Near({0.0, 0.166666666667, 0.333333333333, 0.5, 0.666666666667, 0.833333333333, 0, 0}));
}

TEST(LrFactorTest, AWarmupOfTheWholeRunNeverDividesByZero) {
  for (const LrSchedule schedule :
       {LrSchedule::kLinear, LrSchedule::kCosine, LrSchedule::kConstant}) {
    for (const double factor : Factors(With(schedule, 4), 4, 6)) {
      EXPECT_TRUE(std::isfinite(factor));
      EXPECT_GE(factor, 0);
      EXPECT_LE(factor, 1);
    }
    EXPECT_EQ(LrFactor(With(schedule, 4), 2, 4), 0.5);
  }
}

TEST(LrFactorTest, OneStepOfWarmupGivesAFirstUpdateOfZero) {
  EXPECT_EQ(LrFactor(With(LrSchedule::kConstant, 1), 0, 10), 0);
  EXPECT_EQ(LrFactor(With(LrSchedule::kConstant, 1), 1, 10), 1);
}

/// The first step with the full rate, under a ratio: math.ceil(total * ratio) in transformers.
int64_t WarmupOf(double ratio, int64_t total_steps) {
  Hyperparameters hp;
  hp.lr_schedule = LrSchedule::kConstant;
  hp.warmup_ratio = ratio;
  int64_t step = 0;
  while (LrFactor(hp, step, total_steps) < 1) ++step;
  return step;
}

TEST(LrFactorTest, ARatioIsRoundedUp) {
  EXPECT_EQ(WarmupOf(0, 30), 0);
  EXPECT_EQ(WarmupOf(0.1, 30), 3);
  EXPECT_EQ(WarmupOf(0.06, 17), 2);
  EXPECT_EQ(WarmupOf(0.1, 3), 1);
  EXPECT_EQ(WarmupOf(0.5, 1), 1);
}

TEST(LrFactorTest, StepsOfWarmupGoBeforeTheRatio) {
  Hyperparameters hp = With(LrSchedule::kConstant, 2);
  hp.warmup_ratio = 0.5;

  EXPECT_EQ(LrFactor(hp, 1, 100), 0.5);
  EXPECT_EQ(LrFactor(hp, 2, 100), 1);
}

int64_t Steps(double epochs, int64_t micro_batches, int accumulation) {
  Hyperparameters hp;
  hp.epochs = epochs;
  hp.gradient_accumulation_steps = accumulation;
  return TotalSteps(hp, micro_batches);
}

TEST(TotalStepsTest, IsEpochsTimesTheStepsOfOneEpoch) {
  EXPECT_EQ(Steps(3, 10, 1), 30);
  EXPECT_EQ(Steps(1, 1, 1), 1);
}

TEST(TotalStepsTest, TheLastAccumulationOfAnEpochMayBeShort) {
  EXPECT_EQ(Steps(1, 10, 4), 3);
  EXPECT_EQ(Steps(2, 10, 4), 6);
  EXPECT_EQ(Steps(2, 8, 4), 4);
  EXPECT_EQ(Steps(2, 3, 4), 2);
}

TEST(TotalStepsTest, APartOfAnEpochIsRoundedUp) {
  EXPECT_EQ(Steps(0.5, 10, 1), 5);
  EXPECT_EQ(Steps(0.51, 10, 1), 6);
  EXPECT_EQ(Steps(1.25, 10, 4), 4);
  EXPECT_EQ(Steps(1e-6, 10, 1), 1);
}

TEST(TotalStepsTest, ThereIsAtLeastOneStep) { EXPECT_EQ(Steps(3, 0, 1), 3); }

TEST(TotalStepsTest, MaxStepsGoesBeforeTheEpochs) {
  Hyperparameters hp;
  hp.epochs = 3;
  hp.max_steps = 7;

  EXPECT_EQ(TotalSteps(hp, 100), 7);
}

TEST(TotalStepsTest, TheLargestRunIsCounted) {
  EXPECT_EQ(Steps(10000, int64_t{1} << 40, 1), 10000 * (int64_t{1} << 40));
}

}  // namespace
}  // namespace graft::spec
