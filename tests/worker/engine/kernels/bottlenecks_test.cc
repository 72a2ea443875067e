/// Networks of many adapters at once: right whatever they read and are added to, and apart.

#include "worker/engine/kernels/bottlenecks.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include <vector>

#include "worker/engine/kernels/activation.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kWidth = 300;

using Function = void (*)(const at::Tensor&, const SublayerEnd&, std::span<const BottleneckGroup>);

at::Tensor Random(at::IntArrayRef shape, at::ScalarType type) {
  return at::randn(shape, at::kDouble).to(type) * 0.25;
}

Bottleneck MakeNetwork(int64_t size, at::ScalarType type) {
  return {.down_ZD = Random({size, kWidth}, type),
          .down_bias_Z = Random({size}, type),
          .up_DZ = Random({kWidth, size}, type),
          .up_bias_D = Random({kWidth}, type),
          .activation = "relu",
          .adds = {1, 1, 0}};
}

SublayerEnd MakeEnd(int64_t rows, at::ScalarType type) {
  return {Random({rows, kWidth}, type), Random({rows, kWidth}, type), Random({rows, kWidth}, type)};
}

/// (type of the networks, that of the end, kernel)
class BottlenecksTest
    : public testing::TestWithParam<std::tuple<at::ScalarType, at::ScalarType, Function>> {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    for (const int64_t size : {64, 64, 64, 3, 300}) networks_.push_back(MakeNetwork(size, type()));
    networks_[1].activation = "gelu";
    networks_[2].reads = kEndNormed;
    networks_[2].adds = {2, 1, 0};
    networks_[3].reads = kEndInput;
    networks_[3].adds = {1, 0, 1};
    networks_[4].activation = "mish";
  }
  static at::ScalarType type() { return std::get<0>(GetParam()); }
  static at::ScalarType end_type() { return std::get<1>(GetParam()); }
  static void Apply(const at::Tensor& y, const SublayerEnd& end,
                    const std::vector<BottleneckGroup>& groups) {
    std::get<Function>(GetParam())(y, end, groups);
  }
  /// Rows of nobody lie behind the second owner's.
  std::vector<BottleneckGroup> Groups(const std::vector<int64_t>& rows) const {
    std::vector<BottleneckGroup> groups;
    int64_t row = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      groups.push_back({row, row + rows[i], &networks_[i]});
      row += rows[i] + (i == 1 ? 3 : 0);
    }
    return groups;
  }
  static at::Tensor Exact(const at::Tensor& y, const SublayerEnd& end,
                          const std::vector<BottleneckGroup>& groups) {
    const at::Tensor exact = y.to(at::kDouble);
    for (const BottleneckGroup& group : groups) {
      const Bottleneck& network = *group.change;
      const auto part = [&](const at::Tensor& of) {
        return of.narrow(0, group.row_begin, group.row_end - group.row_begin).to(at::kDouble);
      };
      const auto wide = [](const at::Tensor& of) { return of.to(at::kDouble); };
      const at::Tensor middle = Activate(
          at::linear(part(end[network.reads]), wide(network.down_ZD), wide(network.down_bias_Z)),
          network.activation);
      at::Tensor sum = at::linear(middle, wide(network.up_DZ), wide(network.up_bias_D));
      for (size_t i = 0; i < end.size(); ++i) sum.add_(part(end[i]), network.adds[i]);
      exact.narrow(0, group.row_begin, sum.size(0)).copy_(sum);
    }
    return exact;
  }

  std::vector<Bottleneck> networks_;
};

TEST_P(BottlenecksTest, EachGroupGetsItsOwnAndTheRestNothing) {
  for (const std::vector<int64_t>& rows :
       {std::vector<int64_t>{1, 1, 1, 1, 1}, {2, 2, 2, 2, 2}, {1, 40, 7, 1, 70}}) {
    const std::vector<BottleneckGroup> groups = Groups(rows);
    const int64_t all = groups.back().row_end + 2;
    const SublayerEnd end = MakeEnd(all, end_type());
    const at::Tensor y = Random({all, kWidth}, end_type()), before = y.clone();

    Apply(y, end, groups);

    const at::Tensor exact = Exact(before, end, groups);
    // The middle is rounded to the type, and products round what they give.
    const double ulp = type() == at::kFloat ? 1e-5 : 1.0 / 16;
    const at::Tensor bound = exact.abs() * ulp + ulp;
    EXPECT_LE(((y.to(at::kDouble) - exact).abs() - bound).max().item<double>(), 0) << rows[1];
    EXPECT_TRUE(y.narrow(0, all - 2, 2).equal(before.narrow(0, all - 2, 2)));
    const int64_t between = rows[0] + rows[1];
    EXPECT_TRUE(y.narrow(0, between, 3).equal(before.narrow(0, between, 3)));
  }
}

TEST_P(BottlenecksTest, WhatIsAddedIsntRounded) {
  Bottleneck& network = networks_[0];
  network.up_DZ.zero_();
  network.up_bias_D.zero_();
  const SublayerEnd end = MakeEnd(3, end_type());
  const at::Tensor y = Random({3, kWidth}, end_type());

  Apply(y, end, {{0, 3, &network}});

  const at::Tensor sum = end[kEndInput].to(at::kFloat) + end[kEndOutput].to(at::kFloat);
  const double ulp = end_type() == at::kFloat ? 0 : 1.0 / 128;
  EXPECT_LE(((y.to(at::kFloat) - sum).abs() - sum.abs() * ulp).max().item<double>(), 0);
}

TEST_P(BottlenecksTest, TheEndMayBeWrittenOver) {
  const std::vector<BottleneckGroup> groups = Groups({3, 1, 33, 1, 1});
  const SublayerEnd end = MakeEnd(44, end_type());
  for (size_t i = 0; i < end.size(); ++i) {
    const at::Tensor apart = end[i].clone();
    Apply(apart, end, groups);
    SublayerEnd own = end;
    own[i] = end[i].clone();

    Apply(own[i], own, groups);

    EXPECT_TRUE(own[i].equal(apart)) << i;
  }
}

TEST_P(BottlenecksTest, OneAdaptersNanStaysInItsRows) {
  const std::vector<BottleneckGroup> groups = Groups({1, 1, 1, 1, 1});
  const SublayerEnd end = MakeEnd(9, end_type());
  const at::Tensor y = Random({9, kWidth}, end_type()), clean = y.clone();
  Apply(clean, end, groups);
  networks_[1].down_ZD.fill_(NAN);
  networks_[3].up_bias_D.fill_(INFINITY);

  Apply(y, end, groups);

  for (const int64_t row : {0, 5, 7, 8})
    EXPECT_TRUE(y.select(0, row).equal(clean.select(0, row))) << row;
  EXPECT_FALSE(y.select(0, 1).isfinite().any().item<bool>());
  EXPECT_FALSE(y.select(0, 6).isfinite().any().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(TypesAndKernels, BottlenecksTest,
                         testing::Combine(testing::Values(at::kFloat), testing::Values(at::kFloat),
                                          testing::Values(&ApplyBottlenecks,
                                                          &ApplyBottlenecksByProducts)));
INSTANTIATE_TEST_SUITE_P(
    NarrowTypesAndKernels, BottlenecksTest,
    testing::Combine(testing::Values(at::kBFloat16), testing::Values(at::kFloat, at::kBFloat16),
                     testing::Values(&ApplyBottlenecks, &ApplyBottlenecksByProducts)));

/// (type of the networks, that of the end, activation)
class BottleneckRowsTest
    : public testing::TestWithParam<std::tuple<at::ScalarType, at::ScalarType, std::string_view>> {
};

TEST_P(BottleneckRowsTest, ARowsBitsDontDependOnThoseBesideIt) {
  const auto& [type, end_type, activation] = GetParam();
  constexpr int64_t kRows = 600;  // Their middle is activated in several parts.
  Bottleneck network = MakeNetwork(50, type), other = MakeNetwork(7, type);
  network.activation = activation;
  other.activation = "tanh";
  const SublayerEnd end = MakeEnd(kRows, end_type);
  const at::Tensor together = at::zeros({kRows, kWidth}, end_type), alone = together.clone();
  const std::vector<BottleneckGroup> all = {{0, 5, &other}, {5, kRows, &network}};
  ApplyBottlenecks(together, end, all);
  for (int64_t row = 5; row < kRows; row += 7) {
    const BottleneckGroup one = {row, row + 1, &network};

    ApplyBottlenecks(alone, end, {&one, 1});

    ASSERT_TRUE(alone.select(0, row).equal(together.select(0, row))) << row;
  }
}

constexpr std::string_view kActivations[] = {"relu",     "gelu",      "silu",       "tanh",
                                             "gelu_new", "sigmoid",   "leaky_relu", "relu6",
                                             "mish",     "quick_gelu"};
INSTANTIATE_TEST_SUITE_P(Activations, BottleneckRowsTest,
                         testing::Combine(testing::Values(at::kFloat), testing::Values(at::kFloat),
                                          testing::ValuesIn(kActivations)));
INSTANTIATE_TEST_SUITE_P(NarrowActivations, BottleneckRowsTest,
                         testing::Combine(testing::Values(at::kBFloat16),
                                          testing::Values(at::kFloat, at::kBFloat16),
                                          testing::ValuesIn(kActivations)));

}  // namespace
}  // namespace graft::worker::engine
