#include "worker/engine/kernels/expand_rows.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include <vector>

#include "worker/engine/device/host_values.h"

namespace graft::worker::engine {
namespace {

class ExpandRowsTest : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(ExpandRowsTest, ARowsGradientIsTheSumOverItsPlacesRoundedOnce) {
  at::manual_seed(5);
  // Row 2 has no place, row 0 three.
  const std::vector<int64_t> rows = {0, 1, 0, 3, 4, 0, 4};
  const at::Tensor rows_P = ToDevice<int64_t>(rows, at::kCPU);
  const at::Tensor x = at::randn({5, 37}).to(GetParam()).requires_grad_();
  const at::Tensor grad = at::randn({7, 37}).to(GetParam());

  const at::Tensor expanded = ExpandRows(x, rows_P);
  expanded.backward(grad);

  at::Tensor expected = at::zeros({5, 37}, at::kDouble);
  for (size_t place = 0; place < rows.size(); ++place) {
    const auto at = static_cast<int64_t>(place);
    EXPECT_TRUE(expanded[at].equal(x[rows[place]])) << place;
    expected[rows[place]] += grad[at].to(at::kDouble);
  }
  EXPECT_TRUE(x.grad().allclose(expected.to(GetParam()), 1e-6, 1e-6)) << x.grad() - expected;
}

TEST_P(ExpandRowsTest, AGradientIsTheSameEveryTime) {
  at::manual_seed(6);
  std::vector<int64_t> rows;
  for (int64_t place = 0; place < 900; ++place) rows.push_back(place * place % 71);
  const at::Tensor rows_P = ToDevice<int64_t>(rows, at::kCPU);
  const at::Tensor grad = at::randn({900, 20}).to(GetParam());
  const auto gradient = [&] {
    const at::Tensor x = at::ones({71, 20}, GetParam()).requires_grad_();
    ExpandRows(x, rows_P).backward(grad);
    return x.grad();
  };

  const at::Tensor first = gradient();

  for (int i = 0; i < 5; ++i) EXPECT_TRUE(gradient().equal(first));
}

INSTANTIATE_TEST_SUITE_P(Types, ExpandRowsTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return at::toString(type.param); });

}  // namespace
}  // namespace graft::worker::engine
