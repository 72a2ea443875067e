/// Changes of many adapters at once: right by rows and columns, and apart.

#include "worker/engine/kernels/low_rank.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include <vector>

namespace graft::worker::engine {
namespace {

using Function = void (*)(const at::Tensor&, const at::Tensor&, std::span<const LowRankGroup>);

/// (type of the changes, that of what they are added to, kernel)
class LowRankTest
    : public testing::TestWithParam<std::tuple<at::ScalarType, at::ScalarType, Function>> {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    for (const int64_t rank : {8, 8, 8, 3, 16})
      changes_.push_back({Make({rank, 100}), Make({rank, 90}), 0.5 + static_cast<double>(rank)});
  }
  at::Tensor Make(at::IntArrayRef shape) const {
    return at::randn(shape, at::kDouble).to(std::get<0>(GetParam())) * 0.25;
  }
  void Add(const at::Tensor& y, const at::Tensor& x,
           const std::vector<LowRankGroup>& groups) const {
    std::get<Function>(GetParam())(y, x, groups);
  }
  at::Tensor MakeSum(at::IntArrayRef shape) const {
    return Make(shape).to(std::get<1>(GetParam()));
  }
  /// Two slices for each of `rows` an owner, rows of nobody behind the second owner's.
  std::vector<LowRankGroup> Groups(const std::vector<int64_t>& rows) const {
    std::vector<LowRankGroup> groups;
    int64_t row = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const int64_t column : {0, 120})
        groups.push_back({row, row + rows[i], column, column + 90, &changes_[i]});
      row += rows[i] + (i == 1 ? 3 : 0);
    }
    return groups;
  }
  static at::Tensor Exact(const at::Tensor& y, const at::Tensor& x,
                          const std::vector<LowRankGroup>& groups) {
    const at::Tensor exact = y.to(at::kDouble);
    for (const LowRankGroup& group : groups) {
      const int64_t rows = group.row_end - group.row_begin;
      exact.narrow(0, group.row_begin, rows)
          .narrow(1, group.column_begin, group.column_end - group.column_begin)
          .add_(at::mm(at::mm(x.narrow(0, group.row_begin, rows).to(at::kDouble),
                              group.change->a_RD.to(at::kDouble).t()),
                       group.change->b_RF.to(at::kDouble)),
                group.change->scaling);
    }
    return exact;
  }
  std::vector<LowRank> changes_;
};

TEST_P(LowRankTest, EachGroupGetsItsOwnAndTheRestNothing) {
  for (const std::vector<int64_t>& rows :
       {std::vector<int64_t>{1, 1, 1, 1, 1}, {2, 2, 2, 2, 2}, {1, 40, 7, 1, 70}}) {
    const std::vector<LowRankGroup> groups = Groups(rows);
    const int64_t all = groups.back().row_end + 2;
    const at::Tensor x = Make({all, 100}), y = MakeSum({all, 220}), before = y.clone();
    Add(y, x, groups);
    const at::Tensor exact = Exact(before, x, groups);
    // Products round what is between them to the type.
    const bool rounds_twice = std::get<Function>(GetParam()) == &AddLowRankByProducts;
    const double ulp = rounds_twice && x.scalar_type() == at::kBFloat16 ? 1.0 / 8
                       : y.scalar_type() == at::kFloat                  ? 1e-5
                                                                        : 1.0 / 32;
    const at::Tensor bound = exact.abs() * ulp + ulp;
    EXPECT_LE(((y.to(at::kDouble) - exact).abs() - bound).max().item<double>(), 0) << rows[1];
    EXPECT_TRUE(y.narrow(1, 90, 30).equal(before.narrow(1, 90, 30)));
    EXPECT_TRUE(y.narrow(1, 210, 10).equal(before.narrow(1, 210, 10)));
    EXPECT_TRUE(y.narrow(0, all - 2, 2).equal(before.narrow(0, all - 2, 2)));
    const int64_t between = rows[0] + rows[1];
    EXPECT_TRUE(y.narrow(0, between, 3).equal(before.narrow(0, between, 3)));
  }
}

TEST_P(LowRankTest, OneAdaptersNanStaysInItsRows) {
  const std::vector<LowRankGroup> groups = Groups({1, 1, 1, 1, 1});
  const at::Tensor x = Make({9, 100}), y = MakeSum({9, 220}), clean = y.clone();
  Add(clean, x, groups);
  changes_[1].a_RD.fill_(NAN);
  changes_[3].b_RF.fill_(INFINITY);
  Add(y, x, groups);
  for (const int64_t row : {0, 5, 7, 8})
    EXPECT_TRUE(y.select(0, row).equal(clean.select(0, row))) << row;
  EXPECT_FALSE(y.select(0, 1).isfinite().all().item<bool>());
  EXPECT_FALSE(y.select(0, 6).isfinite().all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(TypesAndKernels, LowRankTest,
                         testing::Combine(testing::Values(at::kFloat), testing::Values(at::kFloat),
                                          testing::Values(&AddLowRank, &AddLowRankByProducts)));
INSTANTIATE_TEST_SUITE_P(NarrowTypesAndKernels, LowRankTest,
                         testing::Combine(testing::Values(at::kBFloat16),
                                          testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values(&AddLowRank, &AddLowRankByProducts)));

TEST(LowRankRowsTest, ARowsBitsDontDependOnThoseBesideIt) {
  const at::Tensor x = at::randn({33, 64}).to(at::kBFloat16);
  const LowRank change = {at::randn({8, 64}).to(at::kBFloat16),
                          at::randn({8, 48}).to(at::kBFloat16), 2};
  const at::Tensor together = at::zeros({33, 48}, at::kBFloat16), alone = together.clone();
  const LowRankGroup all = {0, 33, 0, 48, &change};
  AddLowRank(together, x, {&all, 1});
  for (int64_t row = 0; row < 33; ++row) {
    const LowRankGroup one = {row, row + 1, 0, 48, &change};
    AddLowRank(alone, x, {&one, 1});
  }
  EXPECT_TRUE(together.equal(alone));
}

}  // namespace
}  // namespace graft::worker::engine
