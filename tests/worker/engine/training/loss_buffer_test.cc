/// A vocabulary's logits are never there for all tokens of a step: no buffer of the loss is larger
/// than 64 MiB, whatever the tokens and the vocabulary.

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <vector>

#include "common/base/file.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/limited_allocator.h"
#include "tests/worker/engine/zero_base.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/train_pass.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

constexpr size_t kMost = size_t{64} << 20;

class LossBufferTest : public ::testing::TestWithParam<int> {};

TEST_P(LossBufferTest, IsBoundedBesideAVocabularyOf128Thousand) {
  const TempFolder folder = *TempFolder::Create();
  testing::LimitedAllocator& memory = testing::LimitedAllocator::Install();
  testing::WriteZeroBase(std::filesystem::path(testing::DecoderFolder()) / "base-llama",
                         folder.path() / "large",
                         {.hidden = 32, .inner = 64, .vocabulary = 128'256, .head_dim = 4});
  const auto base = Must(Base::Load("large", folder.path() / "large", at::kFloat, at::kCPU));
  const auto model = Must(MakeModel(*base));
  const auto task = MakeTask({.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}});
  const auto method =
      Must(Must(methods::ParseMethod("lora", Json{{"rank", 2}}))->Resolve(base->layout()));
  const auto adapter = Must(MakeAdapter(method, base->layout(), task->spec(), at::kCPU));
  ASSERT_TRUE(InitialiseAdapter(*adapter, *base, 1).ok());
  adapter->parameters().EnableGrad();
  constexpr int32_t kLength = 100;
  const int sequences = GetParam();
  TokenizedSplit data;
  for (int s = 0; s < sequences; ++s) {
    tokenizers::Encoding encoding;
    for (int32_t i = 0; i < kLength; ++i) encoding.ids.push_back(5 + (7 * s + 3 * i) % 70);
    encoding.type_ids.assign(encoding.ids.size(), 0);
    std::vector<int32_t> positions(kLength - 1);
    std::iota(positions.begin(), positions.end(), 0);
    data.Append(encoding, std::span(encoding.ids).subspan(1), positions);
  }
  std::vector<uint32_t> examples(static_cast<size_t>(sequences));
  std::iota(examples.begin(), examples.end(), 0);
  (void)memory.TakeLargest();

  const TrainPassResult pass = RunTrainPass(
      *model, *base, {{.adapter = *adapter, .task = *task, .data = data, .examples = examples}},
      Tape::kWhole, [] {});

  EXPECT_GT(pass.losses.at(0), 0);
  EXPECT_LE(memory.TakeLargest(), kMost);

  SplitEvaluation evaluation(*model, *base, *adapter, *task, data, /*ledger=*/nullptr);
  while (!evaluation.done()) ASSERT_TRUE(evaluation.Advance([] {}).ok());

  EXPECT_LE(memory.TakeLargest(), kMost);
}

/// Of all logits together the few would take 50 MB, the many 800.
INSTANTIATE_TEST_SUITE_P(Sequences, LossBufferTest, ::testing::Values(1, 16));

}  // namespace
}  // namespace graft::worker::engine
