#include "common/base/exp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace graft {
namespace {

TEST(ExpTest, IsAsExactAsAFloatNearlyEverywhere) {
  double worst = 0;
  for (float x = -87; x <= 0; x += 1e-4F) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(Exp(x)) - exact) / exact);
  }
  EXPECT_LT(worst, 1.5e-7);
  EXPECT_EQ(Exp(0), 1);
}

TEST(ExpTest, HasNoOtherValuesThanThoseOfNegativeNumbers) {
  EXPECT_EQ(Exp(-88), 0);
  EXPECT_EQ(Exp(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(Exp(1e-6F), 1);
  EXPECT_TRUE(std::isnan(Exp(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace graft
