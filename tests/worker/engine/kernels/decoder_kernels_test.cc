/// What decoders' layers are made of, forward and backward, against plain operations.

#include <gtest/gtest.h>

#include <ATen/ops/rsqrt.h>

#include "worker/engine/adapters/initialise.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/norm.h"
#include "worker/engine/kernels/rope.h"

namespace graft::worker::engine {
namespace {

class DecoderKernelsTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  /// A leaf of the parameter's type, and one in double with its values.
  std::pair<at::Tensor, at::Tensor> Leaves(std::vector<int64_t> shape, uint64_t index,
                                           at::ScalarType type) {
    const at::Tensor values = at::empty(shape, at::kFloat);
    FillNormal(values, 1.5, 0, 11, index);
    at::Tensor narrow = values.to(type);
    at::Tensor wide = narrow.to(at::kDouble);
    return {narrow.requires_grad_(true), wide.requires_grad_(true)};
  }
  /// Types of what becomes the parameter's.
  static std::vector<at::ScalarType> Inputs() {
    if (GetParam() == at::kFloat) return {at::kFloat};
    return {GetParam(), at::kFloat};
  }
  void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, const char* what) {
    ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
    const double tolerance = GetParam() == at::kFloat ? 3e-6 : 2e-2;
    const double error =
        (actual.detach().to(at::kDouble) - expected.detach()).abs().max().item<double>();
    EXPECT_LE(error, tolerance * expected.detach().abs().max().item<double>()) << what;
  }
};

TEST_P(DecoderKernelsTest, RmsNormIsItsFormula) {
  for (const at::ScalarType in : Inputs()) {
    for (const int64_t width : {1, 7, 48, 577}) {
      const auto [x, x_wide] = Leaves({33, width}, 1, in);
      const auto [weight, weight_wide] = Leaves({width}, 2, at::kFloat);
      const auto [dy, dy_wide] = Leaves({33, width}, 3, GetParam());

      const at::Tensor y = RmsNorm(x, weight, 1e-5, GetParam());
      const at::Tensor y_wide =
          x_wide * at::rsqrt(x_wide.pow(2).mean({1}, true) + 1e-5) * weight_wide;
      y.backward(dy.detach());
      y_wide.backward(dy_wide.detach());

      EXPECT_EQ(y.scalar_type(), GetParam());
      EXPECT_EQ(x.grad().scalar_type(), in);
      ExpectClose(y, y_wide, "y");
      // A row of one is all but constant.
      if (width > 1) ExpectClose(x.grad(), x_wide.grad(), "dx");
      ExpectClose(weight.grad(), weight_wide.grad(), "dw");
    }
  }
}

TEST_P(DecoderKernelsTest, GatedIsSiluTimesUp) {
  for (const at::ScalarType in : Inputs()) {
    const auto [x, x_wide] = Leaves({29, 2 * 37}, 4, in);
    const auto [dy, dy_wide] = Leaves({29, 37}, 5, GetParam());

    const at::Tensor y = Gated(x, "silu", GetParam());
    const at::Tensor y_wide = at::silu(x_wide.narrow(1, 0, 37)) * x_wide.narrow(1, 37, 37);
    y.backward(dy.detach());
    y_wide.backward(dy_wide.detach());

    EXPECT_EQ(y.scalar_type(), GetParam());
    ExpectClose(y, y_wide, "y");
    ExpectClose(x.grad(), x_wide.grad(), "dx");
    const at::NoGradGuard no_grad;
    EXPECT_TRUE(Gated(x, "silu", GetParam()).equal(y));
  }
}

TEST_P(DecoderKernelsTest, GatedTakesOtherActivations) {
  const auto [x, x_wide] = Leaves({5, 2 * 8}, 6, GetParam());

  ExpectClose(Gated(x, "gelu_new", GetParam()),
              at::gelu(x_wide.narrow(1, 0, 8), "tanh") * x_wide.narrow(1, 8, 8), "y");
}

TEST_P(DecoderKernelsTest, GatedOfHugeValuesIsFinite) {
  at::Tensor x = at::zeros({1, 4}, GetParam());
  x.copy_(at::ones({1, 4}, at::kFloat) * 1e4);
  x.select(1, 0).fill_(-1e4);

  const at::Tensor y = Gated(x, "silu", GetParam());

  EXPECT_EQ(y[0][0].item<float>(), 0);
  EXPECT_NEAR(y[0][1].item<float>(), 1e8, 1e6);
}

TEST_P(DecoderKernelsTest, RotateTurnsTheHalvesOfTheFirstHeadsOnly) {
  constexpr int64_t kRows = 21, kHeads = 3, kHalf = 5, kWidth = 5 * 2 * kHalf;
  const auto [x, x_wide] = Leaves({kRows, kWidth}, 7, GetParam());
  const auto [dy, dy_wide] = Leaves({kRows, kWidth}, 8, GetParam());
  const auto [angles, angles_wide] = Leaves({kRows, kHalf}, 9, at::kFloat);
  const Rotation rotation{angles.detach().cos(), angles.detach().sin()};

  const at::Tensor y = Rotate(x * 1, rotation, kHeads);
  const at::Tensor heads = x_wide.narrow(1, 0, kHeads * 2 * kHalf).view({kRows, kHeads, 2, kHalf});
  const at::Tensor a = heads.select(2, 0), b = heads.select(2, 1);
  const at::Tensor cos = angles_wide.detach().cos().unsqueeze(1);
  const at::Tensor sin = angles_wide.detach().sin().unsqueeze(1);
  const at::Tensor y_wide =
      at::cat({at::cat({a * cos - b * sin, b * cos + a * sin}, 2).view({kRows, -1}),
               x_wide.narrow(1, kHeads * 2 * kHalf, kWidth - kHeads * 2 * kHalf)},
              1);
  y.backward(dy.detach());
  y_wide.backward(dy_wide.detach());

  ExpectClose(y, y_wide, "y");
  ExpectClose(x.grad(), x_wide.grad(), "dx");
}

INSTANTIATE_TEST_SUITE_P(Types, DecoderKernelsTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& param) { return std::string(c10::toString(param.param)); });

TEST(DecoderKernelsTypesTest, WhatIsReadInFp32IsRoundedOnce) {
  const at::Tensor x = at::empty({4, 2 * 40}, at::kFloat), weight = at::empty({2 * 40}, at::kFloat);
  FillNormal(x, 1.5, 0, 11, 10);
  FillNormal(weight, 1.5, 0, 11, 2);

  EXPECT_TRUE(RmsNorm(x, weight, 1e-5, at::kBFloat16)
                  .equal(RmsNorm(x, weight, 1e-5, at::kFloat).to(at::kBFloat16)));
  EXPECT_TRUE(
      Gated(x, "silu", at::kBFloat16).equal(Gated(x, "silu", at::kFloat).to(at::kBFloat16)));
  EXPECT_TRUE(
      Gated(x, "gelu", at::kBFloat16).equal(Gated(x, "gelu", at::kFloat).to(at::kBFloat16)));
}

}  // namespace
}  // namespace graft::worker::engine
