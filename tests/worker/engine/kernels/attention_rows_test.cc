/// Softmax rows and their gradient against double precision.

#include "worker/engine/kernels/attention_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "common/base/random.h"

namespace graft::worker::engine::cpu {
namespace {

constexpr float kScale = 0.28867513F;  // 1 / sqrt(12): no power of two, so that products round.
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<int64_t> Lengths() {
  std::vector<int64_t> lengths(40);
  std::iota(lengths.begin(), lengths.end(), 1);
  lengths.insert(lengths.end(), {63, 64, 65, 255, 512});
  return lengths;
}

template <typename T>
class AttentionRowsTest : public ::testing::Test {
 protected:
  // bf16 rounds what it stores twice, by 2^-9 each time.
  static constexpr double kRelative = std::is_same_v<T, float> ? 2e-5 : 9e-3;

  /// n values of U(-spread, spread), as T holds them.
  static std::vector<T> Draw(int64_t n, float spread, uint64_t stream) {
    PhiloxSequence random(11, RandomStream::kProbe, stream);
    std::vector<T> values(n);
    for (T& value : values) value = static_cast<T>((2 * random.NextFloat() - 1) * spread);
    return values;
  }

  struct Reference {
    std::vector<double> p;
    double lse;
  };
  static Reference Softmax(const std::vector<T>& scores) {
    const auto largest = static_cast<double>(*std::max_element(scores.begin(), scores.end()));
    Reference result;
    double sum = 0;
    for (const T s : scores)
      sum += result.p.emplace_back(std::exp(kScale * (static_cast<double>(s) - largest)));
    for (double& p : result.p) p /= sum;
    result.lse = kScale * largest + std::log(sum);
    return result;
  }

  static void ExpectSoftmax(const std::vector<T>& scores) {
    const Reference expected = Softmax(scores);
    std::vector<T> actual = scores;

    const float lse = SoftmaxRow(actual.data(), static_cast<int64_t>(actual.size()), kScale);

    EXPECT_NEAR(lse, expected.lse, 1e-6 * (1 + std::abs(expected.lse))) << actual.size();
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(actual[i]), expected.p[i], kRelative * expected.p[i] + 1e-30)
          << "element " << i << " of " << actual.size();
    }
  }
};

using Types = ::testing::Types<float, c10::BFloat16>;
TYPED_TEST_SUITE(AttentionRowsTest, Types);

TYPED_TEST(AttentionRowsTest, SoftmaxEqualsDoublePrecisionAtEveryLength) {
  for (const int64_t n : Lengths()) this->ExpectSoftmax(this->Draw(n, 20, n));
}

TYPED_TEST(AttentionRowsTest, SoftmaxOfHugeAndOfTinyScoresStaysExact) {
  for (const float spread : {1e-30F, 1e-3F, 200.0F, 1e4F, 1e8F, 1e20F, 3e38F}) {
    for (const int64_t n : {1, 7, 33, 255}) this->ExpectSoftmax(this->Draw(n, spread, n));
  }
}

TYPED_TEST(AttentionRowsTest, EqualHugeScoresShareEvenly) {
  for (const float value : {1.1e9F, -1.1e9F, 3.3e30F, -3.3e30F}) {
    this->ExpectSoftmax(std::vector<TypeParam>(37, static_cast<TypeParam>(value)));
  }
}

TYPED_TEST(AttentionRowsTest, AScoreOfMinusInfinityGetsNothing) {
  std::vector<TypeParam> scores = this->Draw(19, 3, 1);
  scores[4] = static_cast<TypeParam>(-std::numeric_limits<float>::infinity());

  this->ExpectSoftmax(scores);
}

TYPED_TEST(AttentionRowsTest, OneNanMakesTheWholeRowNan) {
  for (const int64_t n : {1, 5, 16, 33, 255}) {
    for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
      std::vector<TypeParam> scores = this->Draw(n, 3, n);
      scores[at] = static_cast<TypeParam>(kNan);

      const float lse = SoftmaxRow(scores.data(), n, kScale);

      EXPECT_TRUE(std::isnan(lse));
      for (const TypeParam p : scores)
        ASSERT_TRUE(std::isnan(static_cast<float>(p))) << at << " of " << n;
    }
  }
}

TYPED_TEST(AttentionRowsTest, BackwardEqualsDoublePrecisionAtEveryLength) {
  for (const int64_t n : Lengths()) {
    const std::vector<TypeParam> scores = this->Draw(n, 10, n);
    const std::vector<TypeParam> grads = this->Draw(n, 2, 1000 + n);
    const auto [p, lse] = this->Softmax(scores);
    double dot = 0;
    for (int64_t i = 0; i < n; ++i) dot += p[i] * static_cast<double>(grads[i]);
    std::vector<TypeParam> actual_p = scores;
    std::vector<TypeParam> actual = grads;

    SoftmaxBackwardRow(actual_p.data(), actual.data(), n, kScale, static_cast<float>(lse));

    for (int64_t i = 0; i < n; ++i) {
      const double expected = kScale * p[i] * (static_cast<double>(grads[i]) - dot);
      ASSERT_NEAR(static_cast<double>(actual_p[i]), p[i], this->kRelative * p[i])
          << i << " of " << n;
      // The difference cancels, so its error is that of its terms.
      ASSERT_NEAR(static_cast<double>(actual[i]), expected,
                  this->kRelative * std::abs(expected) + 4e-6 * p[i])
          << i << " of " << n;
    }
  }
}

TYPED_TEST(AttentionRowsTest, BackwardOfHugeScoresIsFinite) {
  // A rounded lse says little about such a row; the result must still be no garbage.
  for (const float spread : {1e4F, 1e8F, 1e20F, 3e38F}) {
    for (const int64_t n : {1, 33, 255}) {
      std::vector<TypeParam> scores = this->Draw(n, spread, n);
      std::vector<TypeParam> grads = this->Draw(n, 2, 1000 + n);
      std::vector<TypeParam> forward = scores;
      const float lse = SoftmaxRow(forward.data(), n, kScale);

      SoftmaxBackwardRow(scores.data(), grads.data(), n, kScale, lse);

      for (int64_t i = 0; i < n; ++i) {
        ASSERT_TRUE(std::isfinite(static_cast<float>(grads[i]))) << spread;
        ASSERT_GE(static_cast<float>(scores[i]), 0.0F) << spread;
        ASSERT_LE(static_cast<float>(scores[i]), 1.0F + 2e-5F) << spread;
      }
    }
  }
}

TYPED_TEST(AttentionRowsTest, BackwardOfANanIsNan) {
  std::vector<TypeParam> scores = this->Draw(17, 3, 1);
  std::vector<TypeParam> grads = this->Draw(17, 3, 2);
  grads[16] = static_cast<TypeParam>(kNan);

  SoftmaxBackwardRow(scores.data(), grads.data(), 17, kScale, 1.0F);

  for (const TypeParam grad : grads) EXPECT_TRUE(std::isnan(static_cast<float>(grad)));
}

}  // namespace
}  // namespace graft::worker::engine::cpu
