#include "worker/engine/kernels/norm.h"

#include <gtest/gtest.h>

#include "worker/engine/adapters/initialise.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kRows = 7;
constexpr int64_t kWidth = 48;

at::Tensor Random(std::vector<int64_t> shape, uint64_t index) {
  const at::Tensor tensor = at::empty(shape, at::kFloat);
  FillNormal(tensor, 1.5, 0, 5, index);
  return tensor;
}

class LayerNormTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(LayerNormTest, RowsOfAnyTypeMeetWeightsInFp32) {
  at::Tensor x = Random({kRows, kWidth}, 1).to(GetParam());
  at::Tensor weight = Random({kWidth}, 2);
  at::Tensor bias = Random({kWidth}, 3);
  const at::Tensor d_out = Random({kRows, kWidth}, 4).to(GetParam());
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor centred = wide - wide.mean(1, true);
  const at::Tensor normed = centred / (centred.pow(2).mean(1, true) + 1e-12).sqrt();
  for (at::Tensor* leaf : {&x, &weight, &bias}) leaf->requires_grad_(true);

  const at::Tensor out = LayerNorm(x, weight, bias, 1e-12);
  out.backward(d_out);

  const double tolerance = GetParam() == at::kFloat ? 1e-5 : 5e-2;
  const auto error = [](const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b).abs().max().item<double>();
  };
  EXPECT_EQ(out.scalar_type(), GetParam());
  EXPECT_LE(error(out.detach(), normed * weight.detach() + bias.detach()), tolerance);
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
  EXPECT_LE(error(weight.grad(), (d_out * normed).sum(0)), 4 * tolerance);
  EXPECT_LE(error(bias.grad(), d_out.to(at::kDouble).sum(0)), 4 * tolerance);
  EXPECT_EQ(x.grad().scalar_type(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Types, LayerNormTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& param) { return std::string(c10::toString(param.param)); });

}  // namespace
}  // namespace graft::worker::engine
