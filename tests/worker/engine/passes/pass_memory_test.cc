/// What a pass without gradients takes of a device's memory is about what is reserved for it.

#include "worker/engine/passes/pass_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/zero_base.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/families/families.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

namespace fs = std::filesystem;

constexpr int64_t kLength = 100;

class PassMemoryTest : public ::testing::TestWithParam<const char*> {
 protected:
  PassMemoryTest() : folder_(*TempFolder::Create()) { InstallCpuAllocator(); }

  TempFolder folder_;
};

TEST_P(PassMemoryTest, IsWhatIsReserved) {
  const std::string family = GetParam();
  const fs::path golden = testing::GoldenBase(family);
  testing::WriteZeroBase(golden, folder_.path() / family,
                         {.hidden = 256, .inner = 704, .vocabulary = 8192, .head_dim = 32});
  const auto ledger = Ledger::Create({.budget = int64_t{1} << 40});
  std::vector<int32_t> ids(kLength), all(kLength);
  for (int32_t i = 0; i < kLength; ++i) ids[static_cast<size_t>(i)] = 5 + (3 * i) % 70;
  std::iota(all.begin(), all.end(), 0);
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto base = Must(Base::Load(family, folder_.path() / family, compute, at::kCPU));
    const auto model = Must(MakeModel(*base));
    for (const int count : {4, 16}) {
      for (const bool has_outputs : {false, true}) {
        if (has_outputs && base->layout().language_head.empty()) continue;
        Sequence one{.ids = ids.data(), .length = kLength};
        one.wanted = std::span(all).subspan(0, has_outputs ? all.size() : 1);
        const std::vector<Sequence> sequences(static_cast<size_t>(count), one);
        const PassOutputs outputs =
            has_outputs ? PassOutputs{count * kLength, base->layout().vocab_size} : PassOutputs{};
        const int64_t before = GetCpuMemoryFigures().used_bytes;
        ResetPeakCpuMemory();

        const Holding told = Must(ReservePass(*ledger, *base, sequences, outputs));
        {
          const at::NoGradGuard no_grad;
          const ForwardPass pass =
              ForwardPass::Run(*model, *base, sequences,
                               std::vector<const Adapter*>(sequences.size(), nullptr), [] {});
          if (has_outputs) (void)BaseLogits(pass.hidden_RD, WeightSet(*base));
        }

        const auto measured = static_cast<double>(GetCpuMemoryFigures().peak_bytes - before);
        const double ratio = static_cast<double>(told.bytes()) / measured;
        EXPECT_GE(ratio, 0.8) << family << " " << compute << " " << count << " " << has_outputs;
        EXPECT_LE(ratio, 1.4) << family << " " << compute << " " << count << " " << has_outputs;
      }
    }
  }
}

/// Some tokens of long texts whose earlier ones are in a cache: what attention takes is most of it.
TEST_P(PassMemoryTest, IsWhatIsReservedOverACacheToo) {
  constexpr int64_t kBlockTokens = 16, kPast = 24'000, kChunk = 400;
  constexpr int64_t kBlocks = (kPast + kChunk) / kBlockTokens;
  const std::string family = GetParam();
  if (family == "bert" || family == "distilbert") return;  // They have none.
  testing::WriteZeroBase(
      fs::path(testing::DecoderFolder()) / ("base-" + family), folder_.path() / family,
      {.hidden = 256, .inner = 704, .vocabulary = 8192, .head_dim = 32, .positions = 32'768});
  const auto ledger = Ledger::Create({.budget = int64_t{1} << 40});
  std::vector<int32_t> ids(kChunk, 7), blocks(kBlocks);
  std::iota(blocks.begin(), blocks.end(), 0);
  const int32_t wanted = 0;
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto base = Must(Base::Load(family, folder_.path() / family, compute, at::kCPU));
    const auto model = Must(MakeModel(*base));
    KvCache cache(base->layout(), kBlocks, kBlockTokens, compute, at::kCPU);
    for (int64_t i = 0; i < base->layout().num_layers; ++i) at::Tensor(cache.layer(i)).zero_();
    for (const int64_t length : {int64_t{1}, kChunk}) {
      const std::vector<Sequence> sequences(1, {.ids = ids.data(),
                                                .length = length,
                                                .wanted = {&wanted, 1},
                                                .past = kPast,
                                                .blocks = blocks});
      const int64_t before = GetCpuMemoryFigures().used_bytes;
      ResetPeakCpuMemory();

      const Holding told = Must(ReservePass(*ledger, *base, sequences, {}));
      (void)ForwardPass::Run(
          *model, *base, sequences, {nullptr}, [] {}, &cache);

      const auto measured = static_cast<double>(GetCpuMemoryFigures().peak_bytes - before);
      const double ratio = static_cast<double>(told.bytes()) / measured;
      EXPECT_GE(ratio, 0.8) << family << " " << compute << " " << length << ": " << measured;
      EXPECT_LE(ratio, 1.4) << family << " " << compute << " " << length << ": " << measured;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PassMemoryTest,
                         ::testing::Values("bert", "distilbert", "llama", "qwen3"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace graft::worker::engine
