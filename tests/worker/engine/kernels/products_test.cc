#include "worker/engine/kernels/products.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

namespace graft::worker::engine {
namespace {

at::Tensor Random(at::IntArrayRef shape, at::ScalarType type) {
  return at::randn(shape, at::kDouble).to(type);
}

/// Sums in fp32 and one rounding of the result leave at most this much of
/// `exact`, the result in doubles, for inner sizes of some hundred.
void ExpectRoundedOnce(const at::Tensor& got, const at::Tensor& exact) {
  ASSERT_EQ(got.sizes(), exact.sizes());
  const double ulp = got.scalar_type() == at::kBFloat16 ? 1.0 / 256 : 1.0 / (1 << 24);
  const at::Tensor bound = exact.abs() * ulp + 1e-4;
  EXPECT_LE(((got.to(at::kDouble) - exact).abs() - bound).max().item<double>(), 0);
}

/// (type, rows): few rows and many take different kernels.
class ProductsTest : public testing::TestWithParam<std::tuple<at::ScalarType, int64_t>> {
 protected:
  void SetUp() override { at::manual_seed(7); }
  at::Tensor Make(at::IntArrayRef shape) const { return Random(shape, std::get<0>(GetParam())); }
  int64_t rows() const { return std::get<1>(GetParam()); }
};

TEST_P(ProductsTest, LinearRoundsOnce) {
  const at::Tensor x = Make({rows(), 96}), w = Make({40, 96}), b = Make({40});
  const at::Tensor y = Linear(x, w, b);
  EXPECT_EQ(y.scalar_type(), x.scalar_type());
  ExpectRoundedOnce(y, at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble)));
}

TEST_P(ProductsTest, LinearHasTheGradientsOfALinearLayer) {
  std::vector<at::Tensor> narrow = {Make({rows(), 96}), Make({40, 96}), Make({40})};
  const at::Tensor dy = Make({rows(), 40});
  std::vector<at::Tensor> exact;
  for (at::Tensor& tensor : narrow) {
    exact.push_back(tensor.to(at::kDouble).requires_grad_(true));
    tensor.requires_grad_(true);
  }
  Linear(narrow[0], narrow[1], narrow[2]).backward(dy);
  at::linear(exact[0], exact[1], exact[2]).backward(dy.to(at::kDouble));
  for (size_t i = 0; i < narrow.size(); ++i) ExpectRoundedOnce(narrow[i].grad(), exact[i].grad());
}

TEST_P(ProductsTest, LinearGivesAFrozenWeightNoGradient) {
  const at::Tensor x = Make({rows(), 96}).requires_grad_(true);
  const at::Tensor w = Make({40, 96}), b = Make({40}), dy = Make({rows(), 40});
  Linear(x, w, b).backward(dy);
  EXPECT_FALSE(w.grad().defined());
  ExpectRoundedOnce(x.grad(), at::mm(dy.to(at::kDouble), w.to(at::kDouble)));
}

/// Rounded only where no kernel gives the sums.
void ExpectSums(const at::Tensor& got, const at::Tensor& operand, const at::Tensor& exact) {
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  const bool rounds = operand.scalar_type() == at::kBFloat16 &&
                      (operand.size(0) < 64 || RoundsSums(at::kBFloat16, at::kCPU));
  ExpectRoundedOnce(rounds ? got.to(at::kBFloat16) : got, exact);
}

TEST_P(ProductsTest, LinearGivesItsSumsInFp32) {
  const at::Tensor x = Make({rows(), 96}), w = Make({40, 96}), b = Make({40});
  const at::Tensor exact = at::linear(x.to(at::kDouble), w.to(at::kDouble), b.to(at::kDouble));
  ExpectSums(Linear(x, w, b, at::kFloat), x, exact);
  ExpectSums(Linear(x, w, {}, at::kFloat), x, exact - b.to(at::kDouble));

  const at::Tensor leaf = x.clone().requires_grad_(true), dy = Make({rows(), 40});
  const at::Tensor taped = Linear(leaf, w, b, at::kFloat);
  ExpectSums(taped, x, exact);
  taped.backward(dy.to(at::kFloat));
  EXPECT_EQ(leaf.grad().scalar_type(), x.scalar_type());
  ExpectRoundedOnce(leaf.grad(), at::mm(dy.to(at::kDouble), w.to(at::kDouble)));
}

TEST_P(ProductsTest, ProductTakesViews) {
  const at::Tensor a = Make({rows(), 96}), b = Make({40, 96});
  ExpectRoundedOnce(Product(a, b.t()), at::mm(a.to(at::kDouble), b.to(at::kDouble).t()));
  const at::Tensor c = Make({rows(), 8});
  ExpectRoundedOnce(Product(a.t(), c), at::mm(a.to(at::kDouble).t(), c.to(at::kDouble)));
}

TEST_P(ProductsTest, AddProductChangesItsColumnsAlone) {
  const at::Tensor a = Make({rows(), 8}), b = Make({8, 40});
  for (const at::ScalarType type : {a.scalar_type(), at::kFloat}) {
    const at::Tensor all = Make({rows(), 120}).to(type);
    const at::Tensor before = all.clone();
    AddProduct(all.narrow(1, 40, 40), a, b, 0.5);
    EXPECT_TRUE(all.narrow(1, 0, 40).equal(before.narrow(1, 0, 40)));
    EXPECT_TRUE(all.narrow(1, 80, 40).equal(before.narrow(1, 80, 40)));
    const at::Tensor added = 0.5 * at::mm(a.to(at::kDouble), b.to(at::kDouble));
    const at::Tensor exact = before.narrow(1, 40, 40).to(at::kDouble) + added;
    // Where no kernel gives the sums, what is added is rounded.
    const at::Tensor slack = type == a.scalar_type() ? at::zeros_like(added) : added.abs() / 256;
    const at::Tensor got = all.narrow(1, 40, 40).to(at::kDouble);
    const double ulp = type == at::kFloat ? 1e-6 : 1.0 / 256;
    const at::Tensor bound = exact.abs() * ulp + slack + 1e-4;
    EXPECT_LE(((got - exact).abs() - bound).max().item<double>(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(TypesAndRows, ProductsTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values(3, 63, 64, 300, 400)));

}  // namespace
}  // namespace graft::worker::engine
