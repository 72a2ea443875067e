/// The engine computes what transformers, peft and adapters compute: logits and every gradient, for
/// each family and method. Each case is also run through mutated engines, which must fail the same
/// comparison.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/golden_training.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {
namespace {

using testing::GoldenCase;
using testing::LoadGoldenCase;

// fp32 against fp32: what differs is the order of sums. Logits relative to their spread, gradients
// to their own norm.
constexpr double kLogitTolerance = 1e-4;
constexpr double kGradTolerance = 1e-3;
constexpr double kLossTolerance = 1e-3;
/// Of bf16 logits, root mean square, of fp32's standard deviation; where the library's own are as
/// far off or farther, a multiple of that: eighteen logits behind sharp attention say little.
constexpr double kBf16Tolerance = 1e-2, kOfReferences = 4;

struct Result {
  at::Tensor logits;
  double loss = 0;
};

/// Logits, loss and gradients (into the adapter's grad buffer) over `batch`.
Result Train(const GoldenCase& golden, const PackedBatch& batch) {
  Adapter& adapter = *golden.adapter;
  adapter.parameters().EnableGrad();
  const WeightSet weights(*golden.base, &adapter);
  const Pass pass(batch, weights);
  const Yield no_yield = [] {};
  LayerWalk walk(*golden.model, pass,
                 adapter.lowest_trained_layer(static_cast<int>(golden.model->num_layers())),
                 Tape::kWhole, no_yield);
  const at::Tensor pooled = walk.Forward();
  const at::AutoGradMode with_grad(true);
  const at::Tensor logits = HeadLogits(pooled, weights, adapter);
  const at::Tensor labels = at::empty({golden.num_targets()}, at::kLong);
  std::copy(golden.data.targets.begin(), golden.data.targets.end(),
            labels.mutable_data_ptr<int64_t>());
  const at::Tensor loss = at::cross_entropy_loss(logits, labels);
  loss.backward();
  walk.Backward();
  return {logits.detach(), loss.item<double>()};
}

double LogitError(const GoldenCase& golden, const at::Tensor& logits) {
  const at::Tensor& expected = golden.expected.at("logits");
  const double spread = expected.std().item<double>();
  return (logits - expected).abs().max().item<double>() / spread;
}

/// Largest relative error over gradients, with the tensor's name. A gradient that is zero by theory
/// (a key's bias moves every score of a query alike) is only noise in both, so errors are also
/// measured against the largest gradient's norm.
std::pair<double, std::string> GradError(const GoldenCase& golden) {
  double largest_norm = 0;
  for (const auto& [name, expected] : golden.grads) {
    largest_norm = std::max(largest_norm, at::linalg_vector_norm(expected).item<double>());
  }
  std::pair<double, std::string> worst{0, ""};
  for (const auto& [name, expected] : golden.grads) {
    if (!golden.adapter->parameters().Has(name)) return {1e9, "no parameter " + name};
    const at::Tensor actual = golden.adapter->parameters().Get(name).grad();
    const double norm = at::linalg_vector_norm(expected).item<double>();
    const double error = at::linalg_vector_norm(actual - expected).item<double>() /
                         std::max(norm, 1e-3 * largest_norm);
    if (error > worst.first) worst = {error, name};
  }
  return worst;
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, LogitsLossAndGradientsEqualTheReference) {
  const GoldenCase golden = LoadGoldenCase(GetParam());

  const Result result = Train(golden, golden.Batch(golden.adapter.get()));

  const double logits = LogitError(golden, result.logits);
  EXPECT_LE(logits, kLogitTolerance);
  const auto loss = golden.expected.at("loss").item<double>();
  EXPECT_NEAR(result.loss, loss, 1e-5 * std::max(1.0, loss));
  const auto [error, name] = GradError(golden);
  EXPECT_LE(error, kGradTolerance) << name;
  // For scripts/parity.py.
  RecordProperty("logits", testing::Shown(logits));
  RecordProperty("gradients", testing::Shown(error));
  for (const methods::TensorSpec& spec : golden.adapter->parameters().specs()) {
    EXPECT_EQ(spec.trained, golden.grads.contains(spec.name))
        << spec.name << " is trained on one side only";
  }
}

TEST_P(GoldenTest, TwentyStepsGiveTheReferencesLosses) {
  const double error = testing::TrainedLossError(LoadGoldenCase(GetParam()));

  EXPECT_LE(error, kLossTolerance);
  RecordProperty("losses", testing::Shown(error));
}

TEST_P(GoldenTest, Bf16LogitsStayNearThoseOfFp32) {
  const auto logits = [](const GoldenCase& golden) {
    return Train(golden, golden.Batch(golden.adapter.get())).logits;
  };
  const at::Tensor wide = logits(LoadGoldenCase(GetParam()));
  const GoldenCase narrow = LoadGoldenCase(GetParam(), at::kBFloat16);

  const double error = testing::Bf16Error(logits(narrow), wide);
  const double reference = testing::Bf16ErrorOfReference(narrow);
  EXPECT_LE(error, std::max(kBf16Tolerance, kOfReferences * reference));
  RecordProperty("bf16", testing::Shown(error));
  const at::Tensor rounded = logits(testing::LoadRoundedCase(GetParam()));
  RecordProperty("bf16_weights", testing::Shown(testing::Bf16Error(rounded, wide)));
  RecordProperty("reference_bf16", testing::Shown(reference));
}

TEST_P(GoldenTest, AsItServesItGivesTheSameLogits) {
  const GoldenCase golden = LoadGoldenCase(GetParam());
  golden.adapter->PrepareServing(at::kFloat);
  const at::NoGradGuard no_grad;
  const PackedBatch batch = golden.Batch(golden.adapter.get());
  const WeightSet weights(*golden.base, golden.adapter.get());

  const at::Tensor pooled = Forward(*golden.model, Pass(batch, weights), [] {});

  EXPECT_LE(LogitError(golden, HeadLogits(pooled, weights, *golden.adapter)), kLogitTolerance);
}

TEST_P(GoldenTest, TensorsAreLargeEnoughToMatter) {
  const GoldenCase golden = LoadGoldenCase(GetParam());

  for (const auto& [name, expected] : golden.grads) {
    EXPECT_TRUE(golden.adapter->parameters().Get(name).abs().max().item<float>() > 0.01F)
        << name << " is all but zero";
  }
}

TEST_P(GoldenTest, AnEngineThatSkipsTheAdapterFails) {
  const GoldenCase golden = LoadGoldenCase(GetParam());
  for (const methods::TensorSpec& spec : golden.adapter->parameters().specs()) {
    const bool in_head = spec.layer == families::kAboveLayers && !spec.overrides_base;
    if (in_head) continue;
    // An overlay that is skipped leaves the base's weights; anything else contributes nothing.
    const at::Tensor& value = golden.adapter->parameters().Get(spec.name);
    value.copy_(spec.overrides_base ? golden.base->Tensor(spec.name) : at::zeros_like(value));
  }
  if (GetParam() == "distilbert-last-layers-0") {
    GTEST_SKIP() << "this method is nothing but the head";
  }

  const Result result = Train(golden, golden.Batch(golden.adapter.get()));

  EXPECT_GT(LogitError(golden, result.logits), 10 * kLogitTolerance);
}

TEST_P(GoldenTest, AnEngineWithAWrongScaleFails) {
  const GoldenCase golden = LoadGoldenCase(GetParam());
  for (const methods::TensorSpec& spec : golden.adapter->parameters().specs()) {
    const bool last_factor = spec.name.ends_with("lora_B.weight") ||
                             spec.name.ends_with("adapter_up.weight") ||
                             (spec.overrides_base && spec.name.ends_with(".weight"));
    if (last_factor || spec.name == "classifier.weight")
      golden.adapter->parameters().Get(spec.name).mul_(1.02);
  }

  const Result result = Train(golden, golden.Batch(golden.adapter.get()));

  EXPECT_GT(LogitError(golden, result.logits), 10 * kLogitTolerance);
}

TEST_P(GoldenTest, AnEngineWithoutPositionsFails) {
  const GoldenCase golden = LoadGoldenCase(GetParam());
  PackedBatch batch = golden.Batch(golden.adapter.get());
  batch.position_ids_T.zero_();

  const Result result = Train(golden, batch);

  EXPECT_GT(LogitError(golden, result.logits), 10 * kLogitTolerance);
}

TEST(GoldenCasesTest, EveryMethodOfEveryFamilyIsThere) {
  std::vector<std::string> wanted;
  for (const char* family : {"bert", "distilbert"}) {
    for (const char* method :
         {"full", "houlsby", "houlsby-gelu", "houlsby-unfrozen", "last-layers-0", "last-layers-2",
          "lora", "lora-all", "pfeiffer", "rslora"})
      wanted.push_back(std::string(family) + "-" + method);
  }

  EXPECT_THAT(testing::GoldenCaseNames(), ::testing::UnorderedElementsAreArray(wanted));
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, ::testing::ValuesIn(testing::GoldenCaseNames()),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace graft::worker::engine
