#include "worker/engine/serving/scheduler/pass_size.h"

#include <gtest/gtest.h>

#include <cmath>

namespace graft::worker::engine {
namespace {

/// Computes in virtual time: some for each pass, some for each token.
struct Device {
  double fixed = 0, per_token = 0;
  double Seconds(int64_t tokens) const { return fixed + per_token * static_cast<double>(tokens); }
};

constexpr PassSize::Limits kLimits{};

/// Full passes, one after the other.
void RunPasses(PassSize& size, const Device& device, int passes) {
  for (int i = 0; i < passes; ++i) size.Ran(size.tokens(), device.Seconds(size.tokens()));
}

TEST(PassSizeTest, ItBeginsSmall) {
  EXPECT_EQ(PassSize(kLimits).tokens(), kLimits.first);
  EXPECT_LT(kLimits.first, kLimits.most / 4);
}

TEST(PassSizeTest, PassesComeToTheTimeOfTheDevice) {
  for (const double per_token : {15e-6, 25e-6, 100e-6, 200e-6, 350e-6}) {
    for (const double fixed : {0.0, 1e-3, 5e-3}) {
      if (fixed + per_token * static_cast<double>(kLimits.least) > kLimits.seconds) continue;
      const Device device{fixed, per_token};
      PassSize size(kLimits);

      RunPasses(size, device, 8);

      EXPECT_NEAR(device.Seconds(size.tokens()), kLimits.seconds, 0.1 * kLimits.seconds)
          << per_token << " " << fixed;
      EXPECT_NEAR(size.Seconds(size.tokens()), kLimits.seconds, 0.05 * kLimits.seconds);
    }
  }
}

TEST(PassSizeTest, NeitherAFastNorASlowDeviceLeavesTheLimits) {
  for (const double per_token : {0.0, 1e-9, 1e-7, 1.0, 1e6}) {
    PassSize size(kLimits);
    for (int i = 0; i < 100; ++i) {
      RunPasses(size, {0, per_token}, 1);
      ASSERT_GE(size.tokens(), kLimits.least) << per_token;
      ASSERT_LE(size.tokens(), kLimits.most) << per_token;
    }
    EXPECT_EQ(size.tokens(), per_token < 1 ? kLimits.most : kLimits.least) << per_token;
  }
}

TEST(PassSizeTest, ADeviceThatChangesIsFollowed) {
  const Device fast{1e-3, 25e-6}, slow{1e-3, 200e-6};
  PassSize size(kLimits);
  RunPasses(size, fast, 8);

  RunPasses(size, slow, 6);
  EXPECT_NEAR(slow.Seconds(size.tokens()), kLimits.seconds, 0.15 * kLimits.seconds);

  RunPasses(size, fast, 6);
  EXPECT_NEAR(fast.Seconds(size.tokens()), kLimits.seconds, 0.15 * kLimits.seconds);
}

TEST(PassSizeTest, WhatASmallPassCostsSaysNothingAboutFullOnes) {
  const Device device{5e-3, 20e-6};
  PassSize size(kLimits);
  RunPasses(size, device, 10);
  const int64_t full = size.tokens();

  for (int i = 0; i < 1000; ++i) size.Ran(4, device.Seconds(4));

  EXPECT_EQ(size.tokens(), full);
}

TEST(PassSizeTest, SmallPassesThatAreFastMakeRoomForLongerOnes) {
  PassSize size(kLimits);

  for (int i = 0; i < 10; ++i) size.Ran(24, 1e-3);

  EXPECT_GT(size.tokens(), 1000);
}

TEST(PassSizeTest, SmallPassesThatAreSlowLeaveItToALongerOneToTell) {
  const Device slow{20e-3, 2e-3};
  PassSize size(kLimits);
  RunPasses(size, {1e-3, 25e-6}, 8);

  for (int i = 0; i < 10; ++i) size.Ran(24, slow.Seconds(24));
  EXPECT_EQ(size.tokens(), kLimits.first);

  RunPasses(size, slow, 5);
  EXPECT_EQ(size.tokens(), kLimits.least);
}

TEST(PassSizeTest, OnePassThatWasHeldUpDoesntDecide) {
  const Device device{1e-3, 25e-6};
  PassSize size(kLimits);
  RunPasses(size, device, 8);
  const auto full = static_cast<double>(size.tokens());

  size.Ran(8, 60);
  EXPECT_GE(static_cast<double>(size.tokens()), full / 2 - 1);
  size.Ran(size.tokens(), 60);
  EXPECT_GE(static_cast<double>(size.tokens()), full / 8 - 1);

  RunPasses(size, device, 6);
  EXPECT_NEAR(static_cast<double>(size.tokens()), full, 0.1 * full);
}

TEST(PassSizeTest, TimesThatCannotBeAreNoHarm) {
  PassSize size(kLimits);

  for (const double seconds : {0.0, -1.0, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const int64_t tokens : {int64_t{0}, int64_t{-5}, int64_t{1}, int64_t{1} << 60}) {
      size.Ran(tokens, seconds);
      ASSERT_GE(size.tokens(), kLimits.least);
      ASSERT_LE(size.tokens(), kLimits.most);
    }
  }
}

}  // namespace
}  // namespace graft::worker::engine
