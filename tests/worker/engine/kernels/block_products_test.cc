/// Products by blocks: right in every size and layout, and the same bits however they are shared
/// out.

#include "worker/engine/kernels/block_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {
namespace {

at::Tensor Make(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).to(at::kBFloat16); }

/// c = alpha a b, with b as it lies: [depth, width], or the transpose of a matrix [width, depth].
cpu::BlockProblem Problem(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  const bool transposed = b.stride(1) != 1;
  return {.a = a.const_data_ptr<c10::BFloat16>(),
          .b = b.const_data_ptr<c10::BFloat16>(),
          .c = c.mutable_data_ptr(),
          .a_stride = a.stride(0),
          .b_stride = transposed ? b.stride(1) : b.stride(0),
          .c_stride = c.stride(0),
          .rows = a.size(0),
          .depth = a.size(1),
          .width = b.size(1),
          .transposed = transposed,
          .wide = c.scalar_type() == at::kFloat};
}

/// How far c may lie from the exact product: a rounding to its type, and those of the sums.
double Excess(const at::Tensor& c, const at::Tensor& exact, int64_t depth) {
  const double ulp = c.scalar_type() == at::kBFloat16 ? 1.0 / 256 : 1.0 / (1 << 20);
  const double sums = 1e-5 * std::sqrt(static_cast<double>(depth));
  return ((c.to(at::kDouble) - exact).abs() - exact.abs() * ulp - sums).max().item<double>();
}

class BlockProductsTest : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    if (!cpu::HasBlockProducts())
      GTEST_SKIP() << "this processor has no instructions that these products are written for";
  }
};

TEST_F(BlockProductsTest, EverySizeIsRight) {
  for (const int64_t rows : {1, 2, 5, 8, 15, 300}) {
    for (const int64_t depth : {1, 2, 31, 33, 576, 2049, 3073}) {
      for (const int64_t width : {1, 16, 17, 48, 50, 330}) {
        const at::Tensor a = Make({rows, depth});
        for (const at::Tensor& b : {Make({depth, width}), Make({width, depth}).t()}) {
          const at::Tensor exact = at::matmul(a.to(at::kDouble), b.to(at::kDouble));
          for (const at::ScalarType out : {at::kBFloat16, at::kFloat}) {
            const at::Tensor c = at::full({rows, width}, NAN, a.options().dtype(out));
            cpu::BlockProduct(Problem(a, b, c));
            EXPECT_LE(Excess(c, exact, depth), 0) << rows << " x " << depth << " x " << width;
          }
        }
      }
    }
  }
}

TEST_F(BlockProductsTest, ScalesAddsAndTakesABias) {
  const at::Tensor a = Make({20, 40}), b = Make({40, 70}), bias = Make({70}), c = Make({20, 70});
  const at::Tensor exact = at::matmul(a.to(at::kDouble), b.to(at::kDouble));
  const at::Tensor before = c.to(at::kDouble);
  cpu::BlockProblem adds = Problem(a, b, c);
  adds.alpha = -0.5F, adds.adds = true;
  cpu::BlockProduct(adds);
  EXPECT_LE(Excess(c, before - 0.5 * exact, 40), 0);
  cpu::BlockProblem biased = Problem(a, b, c);
  biased.bias = bias.const_data_ptr<c10::BFloat16>();
  cpu::BlockProduct(biased);
  EXPECT_LE(Excess(c, exact + bias.to(at::kDouble), 40), 0);
}

TEST_F(BlockProductsTest, WritesWithinItsMatrix) {
  const at::Tensor a = Make({9, 33}), b = Make({33, 21});
  const at::Tensor around = at::full({11, 30}, 7.0, at::kBFloat16);
  cpu::BlockProduct(Problem(a, b, around.narrow(0, 1, 9).narrow(1, 4, 21)));
  around.narrow(0, 1, 9).narrow(1, 4, 21).fill_(7);
  EXPECT_TRUE(around.equal(at::full({11, 30}, 7.0, at::kBFloat16)));
}

TEST_F(BlockProductsTest, BitsDependOnNoThread) {
  const at::Tensor a = Make({700, 3000}), b = Make({3000, 200});
  const auto product = [&](const at::Tensor& of) {
    const at::Tensor c = at::empty({of.size(0), 200}, at::kBFloat16);
    cpu::BlockProduct(Problem(of, b, c));
    return c;
  };
  const at::Tensor all = product(a);
  const int threads = at::get_num_threads();
  for (const int other : {1, 3, 7}) {
    at::set_num_threads(other);
    EXPECT_TRUE(product(a).equal(all)) << other << " threads";
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(product(a.narrow(0, 13, 100)).equal(all.narrow(0, 13, 100)));
  std::vector<float> scratch(static_cast<size_t>(cpu::BlockScratch(Problem(a, b, all)) / 4 + 16));
  void* aligned = scratch.data();
  size_t room = scratch.size() * 4;
  ASSERT_NE(std::align(64, room - 64, aligned, room), nullptr);
  const at::Tensor here = at::empty_like(all);
  cpu::BlockProductHere(Problem(a, b, here), aligned);
  EXPECT_TRUE(here.equal(all));
}

TEST_F(BlockProductsTest, LinearAndItsGradientTakeThem) {
  const at::Tensor x = Make({30, 64}).requires_grad_(true), w = Make({40, 64}), b = Make({40});
  const at::Tensor dy = Make({30, 40});
  const at::Tensor y = Linear(x, w, b);
  EXPECT_LE(Excess(y, at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble)), 64), 0);
  y.backward(dy);
  EXPECT_LE(Excess(x.grad(), at::matmul(dy.to(at::kDouble), w.to(at::kDouble)), 40), 0);
  x.mutable_grad() = at::Tensor();
  const at::Tensor wide = Linear(x, w, b, at::kFloat);
  ASSERT_EQ(wide.scalar_type(), at::kFloat);
  EXPECT_LE(Excess(wide, at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble)), 64),
            0);
  wide.backward(dy.to(at::kFloat));
  EXPECT_LE(Excess(x.grad(), at::matmul(dy.to(at::kDouble), w.to(at::kDouble)), 40), 0);
}

TEST_F(BlockProductsTest, ATrainedWeightAndBiasGetTheirGradients) {
  const at::Tensor x = Make({30, 64}), w = Make({40, 64}).requires_grad_(true);
  const at::Tensor b = Make({40}).requires_grad_(true), dy = Make({30, 40});
  Linear(x, w, b).backward(dy);
  EXPECT_LE(Excess(w.grad(), at::matmul(dy.to(at::kDouble).t(), x.to(at::kDouble)), 30), 0);
  EXPECT_LE(Excess(b.grad(), dy.to(at::kDouble).sum(0), 30), 0);
}

}  // namespace
}  // namespace graft::worker::engine
