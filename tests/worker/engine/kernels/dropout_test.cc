#include "worker/engine/kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include <ATen/Parallel.h>

#include "worker/engine/model/row_owner.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kWidth = 24;

/// Sequences of a batch: their lengths and example numbers.
struct Rows {
  RowSet rows;
  std::vector<uint64_t> examples;
  RowContext context;

  explicit Rows(const std::vector<std::pair<uint64_t, int64_t>>& examples_and_lengths) {
    for (const auto& [example, length] : examples_and_lengths) {
      examples.push_back(example);
      rows.offsets.push_back(rows.size() + length);
    }
    context = {.training = true,
               .seed = 7,
               .step = 3,
               .sequence_end = static_cast<int64_t>(examples.size())};
  }

  at::Tensor Drop(const at::Tensor& x, double p, uint64_t site) {
    context.rows = &rows;
    context.examples = &examples;
    return Dropout(x, p, context.DropoutSeed(site), context.DropoutStreams());
  }
  /// The mask over these rows, scaled: Dropout of ones.
  at::Tensor Mask(double p = 0.3, uint64_t site = 5) {
    const int64_t count = rows.size() - rows.offsets[context.sequence_begin];
    return Drop(at::ones({count, kWidth}, at::kFloat), p, site);
  }
};

TEST(DropoutTest, AnExamplesMaskDependsOnNoNeighbourAndNoOrder) {
  const at::Tensor alone = Rows({{42, 9}}).Mask();
  const at::Tensor last = Rows({{1, 4}, {2, 1}, {42, 9}}).Mask();
  const at::Tensor first = Rows({{42, 9}, {3, 30}}).Mask();

  EXPECT_TRUE(alone.equal(last.narrow(0, 5, 9)));
  EXPECT_TRUE(alone.equal(first.narrow(0, 0, 9)));
}

TEST(DropoutTest, ASegmentGetsTheMaskOfItsOwnSequences) {
  Rows rows({{1, 4}, {42, 9}, {2, 5}});
  const at::Tensor all = rows.Mask();
  rows.context.sequence_begin = 1;

  EXPECT_TRUE(rows.Mask().equal(all.narrow(0, 4, 14)));
}

TEST(DropoutTest, SeedStepSiteExampleAndPositionEachChangeTheMask) {
  const at::Tensor mask = Rows({{42, 9}}).Mask();
  Rows other_seed({{42, 9}});
  other_seed.context.seed = 8;
  Rows other_step({{42, 9}});
  other_step.context.step = 4;

  EXPECT_TRUE(mask.equal(Rows({{42, 9}}).Mask()));
  EXPECT_FALSE(mask.equal(other_seed.Mask()));
  EXPECT_FALSE(mask.equal(other_step.Mask()));
  EXPECT_FALSE(mask.equal(Rows({{42, 9}}).Mask(0.3, 6)));
  EXPECT_FALSE(mask.equal(Rows({{43, 9}}).Mask()));
  for (int64_t i = 1; i < 9; ++i) EXPECT_FALSE(mask[0].equal(mask[i])) << i;
}

TEST(DropoutTest, AWantedRowHasTheMaskOfItsPosition) {
  const at::Tensor all = Rows({{42, 9}, {3, 6}}).Mask();
  Rows wanted({{42, 2}, {3, 1}});
  wanted.rows.positions = {0, 7, 5};

  const at::Tensor mask = wanted.Mask();

  EXPECT_TRUE(mask[0].equal(all[0]));
  EXPECT_TRUE(mask[1].equal(all[7]));
  EXPECT_TRUE(mask[2].equal(all[9 + 5]));
}

TEST(DropoutTest, ElementsAreZeroWithProbabilityPElseScaled) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const at::Tensor mask = Rows({{1, 4000}}).Mask(p);
    const double zeros = (mask == 0).to(at::kDouble).mean().item<double>();

    // Five standard deviations of 96,000 draws.
    EXPECT_NEAR(zeros, p, 5 * std::sqrt(p * (1 - p) / (4000.0 * kWidth)));
    EXPECT_TRUE(((mask == 0) | ((mask - 1 / (1 - p)).abs() < 1e-5)).all().item<bool>());
  }
}

TEST(DropoutTest, ItMultipliesItsInputInTheInputsTypeAndPassesGradients) {
  Rows rows({{1, 50}});
  const at::Tensor mask = rows.Mask(0.5);
  at::Tensor x = at::ones({50, kWidth}, at::kBFloat16).mul_(3);
  x.requires_grad_(true);

  const at::Tensor y = rows.Drop(x, 0.5, 5);
  y.sum().backward();

  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(y.to(at::kFloat).equal(mask * 3));
  EXPECT_TRUE(x.grad().to(at::kFloat).equal(mask));
}

TEST(DropoutTest, ThreadsDontChangeTheMask) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = Rows({{42, 300}}).Mask();
  at::set_num_threads(3);

  const at::Tensor shared = Rows({{42, 300}}).Mask();

  at::set_num_threads(threads);
  EXPECT_TRUE(alone.equal(shared));
}

}  // namespace
}  // namespace graft::worker::engine
