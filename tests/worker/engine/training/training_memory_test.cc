/// What training takes of a device's memory is what common/spec told before, within 15 %: for each
/// kind of method, family, task, precision and way to keep a pass. What its evaluations take too.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/spec/training_memory.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/zero_base.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/passes/pass_memory.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/schedule.h"
#include "worker/engine/training/train_pass.h"
#include "worker/engine/training/train_state.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

namespace fs = std::filesystem;

constexpr int64_t kSequences = 4, kLength = 120;
constexpr int32_t kCommon = 90;  ///< Tokens that all conversations begin with.

/// What the sequences are, and what a loss reads of them.
enum class Data { kClassified, kTexts, kConversations };

class TrainingMemoryTest : public ::testing::TestWithParam<const char*> {
 protected:
  TrainingMemoryTest() : folder_(*TempFolder::Create()) { InstallCpuAllocator(); }

  TempFolder folder_;
  double worst_ = 0;  ///< Distance from what was measured, relative to it.
};

TokenizedSplit MakeSplit(Data kind, bool is_causal) {
  TokenizedSplit data;
  for (int32_t s = 0; s < kSequences; ++s) {
    tokenizers::Encoding encoding;
    const int32_t common = kind == Data::kConversations ? kCommon : 0;
    for (int32_t i = 0; i < kLength; ++i)
      encoding.ids.push_back(5 + ((i < common ? 0 : 7 * s) + 3 * i) % 70);
    encoding.type_ids.assign(encoding.ids.size(), 0);
    std::vector<int32_t> targets = {s % 3}, positions = {PooledPosition(kLength, is_causal)};
    if (kind != Data::kClassified) {
      targets.assign(encoding.ids.begin() + 1 + common, encoding.ids.end());
      positions.resize(targets.size());
      std::iota(positions.begin(), positions.end(), common);
    }
    data.Append(encoding, targets, positions);
  }
  return data;
}

/// The most that a step takes, with all that stands between steps.
int64_t Measure(const Base& base, const Model& model, const spec::JobSpec& spec,
                const TokenizedSplit& data, Tape tape) {
  const auto task = MakeTask(spec.task);
  ResetPeakCpuMemory();
  auto adapter = Must(MakeAdapter(spec.method, base.layout(), task->spec(), at::kCPU));
  EXPECT_TRUE(InitialiseAdapter(*adapter, base, 1).ok());
  adapter->parameters().EnableGrad();
  TrainState state(std::move(adapter), spec.hyperparameters);
  std::vector<uint32_t> examples(kSequences);
  std::iota(examples.begin(), examples.end(), 0);
  (void)RunTrainPass(
      model, base, {{.adapter = *state.adapter, .task = *task, .data = data, .examples = examples}},
      tape, [] {});
  state.optimizer.Step(1e-3, state.optimizer.GradNorm());
  return GetCpuMemoryFigures().peak_bytes;
}

TEST_P(TrainingMemoryTest, IsWhatWasToldBefore) {
  const std::string family = GetParam();
  const fs::path golden = testing::GoldenBase(family);
  testing::WriteZeroBase(golden, folder_.path() / family);
  std::vector<Json> methods = {{{"lora", {{"rank", 8}}}},
                               {{"lora", {{"rank", 8}, {"dropout", 0.1}}}},
                               {{"lora", {{"rank", 16}, {"target_modules", {"all-linear"}}}}},
                               {{"bottleneck", {{"size", 32}}}},
                               {{"bottleneck", {{"size", 32}, {"placement", "PFEIFFER"}}}},
                               {{"last_layers", {{"num_layers", 1}}}},
                               {{"last_layers", {{"num_layers", 2}}}},
                               {{"full", Json::object()}}};
  if (family == "qwen3") methods.resize(3);  // It differs from llama in its layers alone.
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto base = Must(Base::Load(family, folder_.path() / family, compute, at::kCPU));
    const auto model = Must(MakeModel(*base));
    const families::Layout& layout = base->layout();
    for (const Data kind : {Data::kClassified, Data::kTexts, Data::kConversations}) {
      const bool is_language = kind != Data::kClassified;
      if (is_language && layout.language_head.empty()) continue;
      const TokenizedSplit data = MakeSplit(kind, layout.causal);
      for (const Json& method : methods) {
        spec::JobSpec spec;
        spec.task = is_language ? tasks::TaskSpec{tasks::Kind::kCausalLanguageModeling, {}}
                                : tasks::Classification({"a", "b", "c"});
        const auto parsed =
            Must(methods::ParseMethod(method.begin().key(), method.begin().value()));
        spec.method = Must(parsed->Resolve(layout));
        spec::Hyperparameters batches;
        batches.batch_size = kSequences;
        const spec::LargestPass pass =
            DataSchedule(data, batches).LargestPass(spec.method->SharesBeginnings(layout));
        for (const Tape tape : {Tape::kWhole, Tape::kInputs}) {
          if (tape == Tape::kInputs && compute == at::kBFloat16) continue;  // It halves the other.
          const auto told = spec::EstimateTrainingMemory(
              spec, layout, pass, NumbersOf(*base, kSequences * kLength), tape == Tape::kInputs);
          const int64_t measured = Measure(*base, *model, spec, data, tape);
          const double ratio = static_cast<double>(told.total()) / static_cast<double>(measured);
          const std::string what =
              family + " " + method.dump() + (compute == at::kFloat ? " fp32" : " bf16") +
              (is_language ? kind == Data::kTexts ? " texts" : " chats" : " cls") +
              (tape == Tape::kInputs ? " inputs" : " whole");
          const auto mb = [](int64_t bytes) { return static_cast<double>(bytes) * 1e-6; };
          EXPECT_NEAR(ratio, 1, 0.15)
              << what << ": " << mb(measured) << " MB, told " << mb(told.base) << " + "
              << mb(told.states) << " + " << mb(told.activations) << " + " << mb(told.scratch);
          worst_ = std::max(worst_, std::abs(ratio - 1));
        }
      }
    }
  }
  RecordProperty("worst", std::to_string(worst_));
}

/// The most that an evaluation takes, beside what stands before it.
int64_t MeasureEvaluation(const Base& base, const Model& model, const spec::JobSpec& spec) {
  const auto task = MakeTask(spec.task);
  const TokenizedSplit data = MakeSplit(
      spec.task.kind == tasks::Kind::kCausalLanguageModeling ? Data::kTexts : Data::kClassified,
      base.layout().causal);
  auto adapter = Must(MakeAdapter(spec.method, base.layout(), task->spec(), at::kCPU));
  EXPECT_TRUE(InitialiseAdapter(*adapter, base, 1).ok());
  const int64_t before = GetCpuMemoryFigures().used_bytes;
  ResetPeakCpuMemory();
  SplitEvaluation evaluation(model, base, *adapter, *task, data, /*ledger=*/nullptr);
  while (!evaluation.done()) EXPECT_TRUE(evaluation.Advance([] {}).ok());
  return GetCpuMemoryFigures().peak_bytes - before;
}

TEST_P(TrainingMemoryTest, SoAreItsEvaluations) {
  const std::string family = GetParam();
  const fs::path golden = testing::GoldenBase(family);
  testing::WriteZeroBase(golden, folder_.path() / family,
                         {.hidden = 256, .inner = 704, .vocabulary = 8192, .head_dim = 32});
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    const auto base = Must(Base::Load(family, folder_.path() / family, compute, at::kCPU));
    const auto model = Must(MakeModel(*base));
    for (const bool is_language : {false, true}) {
      if (is_language && base->layout().language_head.empty()) continue;
      spec::JobSpec spec;
      spec.task = is_language ? tasks::TaskSpec{tasks::Kind::kCausalLanguageModeling, {}}
                              : tasks::Classification({"a", "b", "c"});
      spec.method =
          Must(Must(methods::ParseMethod("lora", {{"rank", 8}}))->Resolve(base->layout()));
      const spec::TrainingMemory told = spec::EstimateTrainingMemory(
          spec, base->layout(), {.tokens = 1, .wanted = 1, .evaluated = kSequences * kLength},
          NumbersOf(*base, kSequences * kLength), /*keeps_inputs=*/false);

      const int64_t measured = MeasureEvaluation(*base, *model, spec);

      const double ratio = static_cast<double>(told.evaluation) / static_cast<double>(measured);
      const std::string what = family + (compute == at::kFloat ? " fp32" : " bf16") +
                               (is_language ? " lm: " : " cls: ") + std::to_string(measured);
      EXPECT_GE(ratio, 0.85) << what;
      EXPECT_LE(ratio, 1.8) << what;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TrainingMemoryTest,
                         ::testing::Values("bert", "distilbert", "llama", "qwen3"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace graft::worker::engine
