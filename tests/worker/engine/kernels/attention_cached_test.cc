/// Attention over a cache: right wherever keys lie, and each row's bits its own.

#include "worker/engine/kernels/attention_cached.h"

#include <gtest/gtest.h>

#include <ATen/ops/mv.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/device/team.h"
#include "worker/engine/kernels/row_products.h"

namespace graft::worker::engine {
namespace {

constexpr int64_t kBlockTokens = 4, kBlocks = 200;

/// Some tokens of a sequence: those that a pass computes, behind those of earlier ones.
struct Part {
  int64_t sequence, past, count;
};

/// (type, (heads, key-value heads, head size), window)
class AttentionCachedTest
    : public testing::TestWithParam<
          std::tuple<at::ScalarType, std::tuple<int64_t, int64_t, int64_t>, int64_t>> {
 protected:
  static constexpr int64_t kLengths[] = {70, 3, 45, 1};

  void SetUp() override {
    InstallCpuAllocator();
    at::manual_seed(4);
    const auto& [type, heads, window] = GetParam();
    shape_ = {.heads = std::get<0>(heads),
              .kv_heads = std::get<1>(heads),
              .head_dim = std::get<2>(heads),
              .causal = true,
              .window = window};
    cache_ = Random({kBlocks * kBlockTokens, 2 * shape_.kv_heads * shape_.head_dim});
    for (const int64_t length : kLengths) queries_.push_back(Random({length, width()}));
  }
  int64_t width() const { return shape_.heads * shape_.head_dim; }
  static at::Tensor Random(at::IntArrayRef shape) {
    return (at::randn(shape) * 2).to(std::get<0>(GetParam()));
  }
  /// Blocks lie in no order; some follow one another.
  static int64_t CacheRow(int64_t sequence, int64_t token) {
    const int64_t block = (sequence * 50 + token / kBlockTokens / 2 * 37 % 25 * 2) % kBlocks +
                          token / kBlockTokens % 2;
    return block * kBlockTokens + token % kBlockTokens;
  }
  /// What a call is given.
  struct Call {
    at::Tensor q;
    RowSet queries;
    CachedKeys cached;
  };
  /// One of parts, one behind the other.
  Call CallOf(const std::vector<Part>& parts) const {
    Call call;
    auto& [_, queries, cached] = call;
    std::vector<at::Tensor> q;
    std::vector<int64_t> rows;
    for (const Part& part : parts) {
      q.push_back(queries_[static_cast<size_t>(part.sequence)].narrow(0, part.past, part.count));
      for (int64_t i = 0; i < part.count; ++i) queries.positions.push_back(part.past + i);
      queries.offsets.push_back(queries.size() + part.count);
      queries.longest = std::max(queries.longest, part.count);
      for (int64_t i = 0; i < part.past + part.count; ++i)
        rows.push_back(CacheRow(part.sequence, i));
      cached.keys.offsets.push_back(static_cast<int64_t>(rows.size()));
      cached.keys.longest = std::max(cached.keys.longest, part.past + part.count);
    }
    cached.rows_K = at::empty({static_cast<int64_t>(rows.size())}, at::kLong);
    std::copy(rows.begin(), rows.end(), cached.rows_K.mutable_data_ptr<int64_t>());
    // As a layer has them: columns of a wider product.
    const at::Tensor wide = at::cat({at::cat(q, 0), at::cat(q, 0)}, 1);
    call.q = wide.narrow(1, 0, width());
    return call;
  }
  at::Tensor Attend(const Call& call) const {
    return AttendCached(call.q, cache_, call.queries, call.cached, shape_);
  }
  at::Tensor Attend(const std::vector<Part>& parts) const { return Attend(CallOf(parts)); }
  at::Tensor Exact(const Part& part) const {
    const int64_t size = shape_.head_dim, share = shape_.heads / shape_.kv_heads;
    const at::Tensor out = at::zeros({part.count, width()}, at::kDouble);
    for (int64_t i = 0; i < part.count; ++i) {
      const int64_t end = part.past + i + 1;
      const int64_t begin = shape_.window > 0 ? std::max<int64_t>(0, end - shape_.window) : 0;
      at::Tensor index = at::empty({end - begin}, at::kLong);
      for (int64_t j = begin; j < end; ++j)
        index.mutable_data_ptr<int64_t>()[j - begin] = CacheRow(part.sequence, j);
      const at::Tensor kv = cache_.index_select(0, index).to(at::kDouble);
      const at::Tensor q =
          queries_[static_cast<size_t>(part.sequence)].select(0, part.past + i).to(at::kDouble);
      for (int64_t head = 0; head < shape_.heads; ++head) {
        const int64_t column = head / share * size;
        const at::Tensor p =
            at::softmax(at::mv(kv.narrow(1, column, size), q.narrow(0, head * size, size)) /
                            std::sqrt(static_cast<double>(size)),
                        0);
        out.select(0, i)
            .narrow(0, head * size, size)
            .copy_(at::mv(kv.narrow(1, (shape_.kv_heads * size) + column, size).t(), p));
      }
    }
    return out;
  }

  AttentionShape shape_;
  at::Tensor cache_;
  std::vector<at::Tensor> queries_;  ///< Per sequence.
};

TEST_P(AttentionCachedTest, ItIsItsFormula) {
  const std::vector<Part> parts = {{0, 0, 70}, {1, 2, 1}, {2, 30, 15}, {3, 0, 1}};

  const at::Tensor out = Attend(parts).to(at::kDouble);

  int64_t row = 0;
  for (const Part& part : parts) {
    const at::Tensor exact = Exact(part);
    const double error = (out.narrow(0, row, part.count) - exact).abs().max().item<double>();
    EXPECT_LE(error, (std::get<0>(GetParam()) == at::kFloat ? 1e-5 : 1e-2) *
                         exact.abs().max().item<double>())
        << part.sequence;
    row += part.count;
  }
}

TEST_P(AttentionCachedTest, ARowsBitsDontDependOnHowItsTextWasCutNorOnOthers) {
  if (cpu::RowColumns(std::get<0>(GetParam()), at::kFloat) == nullptr)
    GTEST_SKIP() << "this processor has no instructions that the kernel is written for";
  const at::Tensor whole = Attend({{0, 0, 70}});
  for (const int64_t cut : {1, 7, 33}) {
    for (int64_t past = 0; past < 70; past += cut) {
      const Part part = {0, past, std::min(cut, 70 - past)};

      const at::Tensor alone = Attend({part});
      const at::Tensor beside = Attend({{2, 0, 45}, part, {1, 1, 2}});

      ASSERT_TRUE(alone.equal(whole.narrow(0, past, part.count))) << cut << " at " << past;
      ASSERT_TRUE(beside.narrow(0, 45, part.count).equal(alone)) << cut << " at " << past;
    }
  }
}

TEST_P(AttentionCachedTest, WhatItTakesIsCountedWithTheTensorsAndToldBefore) {
  const at::ScalarType type = std::get<0>(GetParam());
  if (cpu::RowColumns(type, at::kFloat) == nullptr)
    GTEST_SKIP() << "this processor has no instructions that the kernel is written for";
  const Call call = CallOf({{0, 30, 40}, {1, 2, 1}, {2, 30, 15}});
  const int64_t before = GetCpuMemoryFigures().used_bytes;
  ResetPeakCpuMemory();

  const at::Tensor out = Attend(call);

  const CpuMemoryFigures figures = GetCpuMemoryFigures();
  const auto given = static_cast<int64_t>(out.nbytes());
  EXPECT_EQ(figures.peak_bytes - before - given,
            CachedAttentionBytes({{40, 70}, {1, 3}, {15, 45}}, shape_, type, at::kCPU));
  EXPECT_EQ(figures.used_bytes - before, given) << "nothing is kept";
}

TEST(CachedAttentionBytesTest, IsBoundedWhateverATextHas) {
  if (cpu::RowColumns(at::kFloat, at::kFloat) == nullptr)
    GTEST_SKIP() << "this processor has no instructions that the kernel is written for";
  constexpr int64_t kMiB = 1 << 20;
  const AttentionShape shape = {.heads = 9, .kv_heads = 3, .head_dim = 64, .causal = true};
  const auto bytes = [&](int64_t queries, int64_t keys) {
    return CachedAttentionBytes({{queries, keys}}, shape, at::kFloat, at::kCPU) /
           cpu::MostThreads();
  };

  EXPECT_EQ(bytes(1, 1000), 3 * 1008 * 4);
  EXPECT_LE(bytes(500, 8'000), kMiB);
  EXPECT_LE(bytes(500, 80'000), 4 * kMiB);
  // Four queries of the heads that share keys are the least.
  EXPECT_EQ(bytes(500, 1 << 20), 3 * 4 * 4 * kMiB);
}

INSTANTIATE_TEST_SUITE_P(TypesShapesAndWindows, AttentionCachedTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values(std::tuple(9, 3, 64),
                                                          std::tuple(4, 4, 20),
                                                          std::tuple(8, 1, 80)),
                                          testing::Values(0, 1, 13)));

}  // namespace
}  // namespace graft::worker::engine
