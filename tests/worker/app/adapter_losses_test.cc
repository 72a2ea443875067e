#include "worker/app/adapter_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::worker::app {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class AdapterLossesTest : public testing::Test {
 protected:
  /// Gives adapters "a0", "a1", ... one step each, with their number as loss.
  void TrainEach(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      losses_.Set("a" + std::to_string(i), static_cast<double>(i), now_);
    }
  }

  AdapterLosses losses_;
  AdapterLosses::Clock::time_point now_{std::chrono::hours(1)};
};

TEST_F(AdapterLossesTest, LastLossOfEachAdapter) {
  losses_.Set("support", 0.9, now_);
  losses_.Set("news", 0.5, now_);
  losses_.Set("support", 0.7, now_);

  EXPECT_THAT(losses_.Get(now_), ElementsAre(Pair("news", 0.5), Pair("support", 0.7)));
}

TEST_F(AdapterLossesTest, SilentAdapterIsForgotten) {
  losses_.Set("support", 0.9, now_);

  EXPECT_THAT(losses_.Get(now_ + AdapterLosses::kKeptFor), ElementsAre(Pair("support", 0.9)));
  EXPECT_THAT(losses_.Get(now_ + AdapterLosses::kKeptFor + seconds(1)), IsEmpty());
}

TEST_F(AdapterLossesTest, BusiestKeepTheirNamesAndTheRestIsItsMean) {
  TrainEach(AdapterLosses::kMaxNamed + 2);
  for (size_t i = 2; i < AdapterLosses::kMaxNamed + 2; ++i) {
    losses_.Set("a" + std::to_string(i), 7, now_);
  }

  const auto got = losses_.Get(now_);

  ASSERT_EQ(got.size(), AdapterLosses::kMaxNamed + 1);
  EXPECT_THAT(got, testing::Contains(Pair(AdapterLosses::kOther, 0.5)));  // a0 and a1.
  EXPECT_THAT(got, testing::Not(testing::Contains(Pair("a0", testing::_))));
}

TEST_F(AdapterLossesTest, AdapterThatIsCalledOtherBelongsToTheRest) {
  losses_.Set(AdapterLosses::kOther, 3, now_);
  losses_.Set("support", 1, now_);

  EXPECT_THAT(losses_.Get(now_), ElementsAre(Pair(AdapterLosses::kOther, 3), Pair("support", 1)));
}

TEST_F(AdapterLossesTest, OldestIsForgottenBeyondTheBound) {
  losses_.Set("first", 1000, now_ - seconds(1));
  TrainEach(AdapterLosses::kMaxFollowed);

  const auto got = losses_.Get(now_);

  ASSERT_EQ(got.size(), AdapterLosses::kMaxNamed + 1);
  for (const auto& [adapter, loss] : got) EXPECT_NE(loss, 1000) << adapter;
  double sum = 0;
  for (const auto& [adapter, loss] : got) {
    const size_t weight = adapter == AdapterLosses::kOther
                              ? AdapterLosses::kMaxFollowed - AdapterLosses::kMaxNamed
                              : 1;
    sum += loss * static_cast<double>(weight);
  }
  EXPECT_NEAR(sum, 1000.0 * 999.0 / 2.0, 1e-6);  // Without the first one's 1000.
}

}  // namespace
}  // namespace graft::worker::app
