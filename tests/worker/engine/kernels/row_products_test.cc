/// Products by rows: right in every size, and a row's bits are its own.

#include "worker/engine/kernels/row_products.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {
namespace {

/// (type, inner size): one that vectors divide and some with a rest, shorter and longer than one.
class RowProductsTest : public testing::TestWithParam<std::tuple<at::ScalarType, int64_t>> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    if (!cpu::TakesRowProducts(Make({1, 8}), Make({1, 8})))
      GTEST_SKIP() << "this processor has no instructions that these products are written for";
  }
  at::Tensor Make(at::IntArrayRef shape) const {
    return at::randn(shape, at::kDouble).to(std::get<0>(GetParam()));
  }
  int64_t depth() const { return std::get<1>(GetParam()); }
};

TEST_P(RowProductsTest, EverySizeIsRight) {
  for (const int64_t rows : {1, 2, 3, 4, 5, 16, 31}) {
    for (const int64_t columns : {1, 5, 16, 33, 200}) {
      const at::Tensor x = Make({rows, depth()}), w = Make({columns, depth()}), b = Make({columns});
      const at::Tensor exact = at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble));
      for (const at::ScalarType out : {x.scalar_type(), at::kFloat}) {
        const at::Tensor y = cpu::RowProducts(x, w, b, out);
        ASSERT_EQ(y.scalar_type(), out);
        const double ulp = out == at::kBFloat16 ? 1.0 / 256 : 1.0 / (1 << 22);
        const at::Tensor bound = exact.abs() * ulp + 1e-4;
        EXPECT_LE(((y.to(at::kDouble) - exact).abs() - bound).max().item<double>(), 0)
            << rows << " rows, " << columns << " columns";
      }
    }
  }
}

TEST_P(RowProductsTest, ARowsBitsDontDependOnThoseBesideIt) {
  const at::Tensor x = Make({32, depth()}), w = Make({100, depth()});
  std::vector<at::Tensor> alone;
  for (int64_t i = 0; i < x.size(0); ++i)
    alone.push_back(cpu::RowProducts(x.narrow(0, i, 1), w, {}, x.scalar_type()));
  for (int64_t rows = 2; rows <= x.size(0); ++rows) {
    const at::Tensor y = cpu::RowProducts(x.narrow(0, 0, rows), w, {}, x.scalar_type());
    for (int64_t i = 0; i < rows; ++i)
      ASSERT_TRUE(y.narrow(0, i, 1).equal(alone[static_cast<size_t>(i)])) << rows << ", row " << i;
  }
}

TEST_P(RowProductsTest, ANanStaysInItsRow) {
  const at::Tensor x = Make({7, depth()}), w = Make({20, depth()});
  const at::Tensor clean = cpu::RowProducts(x, w, {}, at::kFloat);
  x.select(0, 3).fill_(NAN);
  const at::Tensor y = cpu::RowProducts(x, w, {}, at::kFloat);
  EXPECT_TRUE(y.select(0, 3).isnan().all().item<bool>());
  for (const int64_t row : {0, 1, 2, 4, 5, 6})
    EXPECT_TRUE(y.select(0, row).equal(clean.select(0, row)));
}

TEST_P(RowProductsTest, RowsMayLieApart) {
  const at::Tensor wide_x = Make({6, 2 * depth()}), wide_w = Make({9, depth() + 3});
  const at::Tensor x = wide_x.narrow(1, depth(), depth()), w = wide_w.narrow(1, 1, depth());
  ASSERT_TRUE(cpu::TakesRowProducts(x, w));
  EXPECT_TRUE(cpu::RowProducts(x, w, {}, at::kFloat)
                  .equal(cpu::RowProducts(x.contiguous(), w.contiguous(), {}, at::kFloat)));
}

TEST_P(RowProductsTest, LinearTakesThemForWhatHasNoGradient) {
  const at::Tensor x = Make({3, depth()}), w = Make({40, depth()}).requires_grad_(true);
  const at::Tensor expected = cpu::RowProducts(x, w.detach(), {}, x.scalar_type());
  EXPECT_TRUE(Linear(x, w.detach(), {}).equal(expected));
  EXPECT_TRUE(Linear(x, w, {}).requires_grad());
  EXPECT_TRUE(
      Linear(x, w.detach(), {}, at::kFloat).equal(cpu::RowProducts(x, w.detach(), {}, at::kFloat)));
}

INSTANTIATE_TEST_SUITE_P(TypesAndDepths, RowProductsTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values(7, 64, 100, 576)));

}  // namespace
}  // namespace graft::worker::engine
