/// Decoders compute what transformers and peft compute: logits, hidden states, losses, gradients
/// and twenty optimizer steps, for each family, method and task. Each case is also run on engines
/// that get one thing wrong, which must fail the same comparison.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/golden_training.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

using testing::DecoderFolder;
using testing::GoldenCase;

constexpr double kLogitTolerance = 1e-4;
constexpr double kGradTolerance = 1e-3;
constexpr double kLossTolerance = 1e-3;
/// Of bf16 logits, root mean square, of fp32's standard deviation; where the library's own are
/// farther off, what they are and a little more: another processor sums in another order.
constexpr double kBf16Tolerance = 1e-2, kOfReferences = 1.15;

GoldenCase Load(const std::string& name, const std::function<void(Json&)>& change = {}) {
  return testing::LoadGoldenCase(name, at::kFloat, DecoderFolder(), change);
}

/// The last hidden states at the positions that the case keeps.
at::Tensor Hidden(const GoldenCase& golden) {
  std::vector<std::vector<int32_t>> kept;
  std::vector<Sequence> sequences;
  for (int64_t i = 0; i < golden.data.size(); ++i) {
    const Json& json = golden.json["sequences"][static_cast<size_t>(i)];
    const auto last = static_cast<int32_t>(golden.data.length(i) - 1);
    kept.push_back(json.value("positions", std::vector<int32_t>{last}));
    sequences.push_back(golden.data.sequence(i));
  }
  for (size_t i = 0; i < kept.size(); ++i) sequences[i].wanted = kept[i];
  const std::vector<const Adapter*> owners(sequences.size(), golden.adapter.get());
  return ForwardPass::Run(*golden.model, *golden.base, sequences, owners, [] {}).hidden_RD;
}

at::Tensor Logits(const GoldenCase& golden) {
  const at::NoGradGuard no_grad;
  return HeadLogits(Hidden(golden), WeightSet(*golden.base, golden.adapter.get()), *golden.adapter);
}

double ErrorOf(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.sizes() != expected.sizes()) return 1e9;
  return ((actual - expected).abs().max() / expected.std()).item<double>();
}

/// The rows that the case keeps of a gradient.
at::Tensor Kept(const GoldenCase& golden, const at::Tensor& gradient) {
  const int64_t stride = golden.json["grad_row_stride"];
  return gradient.dim() < 2 ? gradient : gradient.slice(0, 0, gradient.size(0), stride);
}

/// Tells scripts/parity.py, which makes docs/results/parity.md, how far apart a case was.
void Keep(const char* what, double difference) {
  ::testing::Test::RecordProperty(what, testing::Shown(difference));
}

class DecoderGoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(DecoderGoldenTest, LogitsAndHiddenStatesEqualTheReference) {
  const GoldenCase golden = Load(GetParam());

  const double error = ErrorOf(Logits(golden), golden.expected.at("logits"));
  EXPECT_LE(error, kLogitTolerance);
  Keep("logits", error);
  if (const auto hidden = golden.expected.find("hidden"); hidden != golden.expected.end()) {
    EXPECT_LE(ErrorOf(Hidden(golden), hidden->second), kLogitTolerance);
  }
}

TEST_P(DecoderGoldenTest, AsItServesItGivesTheSameLogits) {
  const GoldenCase golden = Load(GetParam());
  golden.adapter->PrepareServing(at::kFloat);

  EXPECT_LE(ErrorOf(Logits(golden), golden.expected.at("logits")), kLogitTolerance);
}

TEST_P(DecoderGoldenTest, LossAndGradientsEqualTheReference) {
  const GoldenCase golden = Load(GetParam());
  golden.adapter->parameters().EnableGrad();

  const double loss = testing::Backward(golden, testing::TrainableExamples(golden));

  EXPECT_NEAR(loss, golden.expected.at("loss").item<double>(), 1e-5 * std::max(1.0, loss));
  EXPECT_FALSE(golden.grads.empty());
  double worst = 0;
  for (const auto& [name, expected] : golden.grads) {
    ASSERT_TRUE(golden.adapter->parameters().Has(name)) << name;
    const at::Tensor actual = Kept(golden, golden.adapter->parameters().Get(name).grad());
    ASSERT_EQ(actual.sizes(), expected.sizes()) << name;
    const double error = at::linalg_vector_norm(actual - expected).item<double>();
    const auto size = at::linalg_vector_norm(expected).item<double>();
    EXPECT_LE(error, kGradTolerance * size) << name;
    worst = std::max(worst, error / size);
  }
  Keep("gradients", worst);
  const auto norm = golden.expected.at("grad_norm").item<double>();
  EXPECT_NEAR(at::linalg_vector_norm(golden.adapter->parameters().grad_P()).item<double>(), norm,
              kGradTolerance * norm)
      << "something is trained on one side only";
}

TEST_P(DecoderGoldenTest, TwentyStepsGiveTheReferencesLosses) {
  const double error = testing::TrainedLossError(Load(GetParam()));

  EXPECT_LE(error, kLossTolerance);
  Keep("losses", error);
}

TEST_P(DecoderGoldenTest, WhatComesLaterChangesNothing) {
  const GoldenCase golden = Load(GetParam());
  const at::Tensor expected = Hidden(golden);
  GoldenCase longer = Load(GetParam());
  TokenizedSplit data;
  for (int64_t i = 0; i < longer.data.size(); ++i) {
    tokenizers::Encoding encoding;
    const auto begin = longer.data.ids.begin() + longer.data.offsets[i];
    encoding.ids.assign(begin, begin + longer.data.length(i));
    encoding.ids.push_back(7);
    encoding.type_ids.assign(encoding.ids.size(), 0);
    data.Append(encoding, longer.data.targets_of(i), longer.data.positions_of(i));
    longer.json["sequences"][static_cast<size_t>(i)]["positions"] =
        golden.json["sequences"][static_cast<size_t>(i)].value(
            "positions", std::vector<int64_t>{golden.data.length(i) - 1});
  }
  longer.data = std::move(data);

  EXPECT_LE(ErrorOf(Hidden(longer), expected), 1e-5);
}

/// Hidden states of the longest sequence, computed piece by piece over a cache whose blocks lie in
/// no order.
at::Tensor HiddenByPieces(const GoldenCase& golden, const std::vector<int64_t>& pieces) {
  constexpr int64_t kBlockTokens = 4, kBlocks = 64;
  const families::Layout& layout = golden.base->layout();
  KvCache cache(layout, kBlocks, kBlockTokens, at::kFloat, at::kCPU);
  std::vector<int32_t> blocks;
  for (int32_t i = 0; i < kBlocks; ++i) blocks.push_back(i * 37 % kBlocks);
  const int64_t last = golden.data.size() - 1;
  std::vector<at::Tensor> parts;
  int64_t done = 0;
  for (size_t i = 0; done < golden.data.length(last); ++i) {
    Sequence sequence = golden.data.sequence(last);
    sequence.ids += done;
    sequence.type_ids = nullptr;
    sequence.wanted = {};
    sequence.length = std::min(pieces[i % pieces.size()], golden.data.length(last) - done);
    sequence.past = done;
    sequence.blocks = blocks;
    parts.push_back(
        ForwardPass::Run(
            *golden.model, *golden.base, {sequence}, {golden.adapter.get()}, [] {}, &cache)
            .hidden_RD);
    done += sequence.length;
  }
  return at::cat(parts, 0);
}

TEST_P(DecoderGoldenTest, PiecesOverACacheGiveWhatOnePassGives) {
  const GoldenCase golden = Load(GetParam());
  Sequence whole = golden.data.sequence(golden.data.size() - 1);
  whole.wanted = {};
  const at::Tensor expected =
      ForwardPass::Run(*golden.model, *golden.base, {whole}, {golden.adapter.get()}, [] {
      }).hidden_RD;

  for (const std::vector<int64_t>& pieces : {std::vector<int64_t>{1}, {1000}, {7}, {13, 1, 1, 5}})
    EXPECT_LE(ErrorOf(HiddenByPieces(golden, pieces), expected), 0.5 * kLogitTolerance);
}

TEST_P(DecoderGoldenTest, Bf16LogitsStayNearThoseOfFp32) {
  const at::Tensor wide = Logits(Load(GetParam()));
  const GoldenCase narrow = testing::LoadGoldenCase(GetParam(), at::kBFloat16, DecoderFolder());

  const double error = testing::Bf16Error(Logits(narrow), wide);
  const double reference = testing::Bf16ErrorOfReference(narrow);
  EXPECT_LE(error, std::max(kBf16Tolerance, kOfReferences * reference));
  Keep("bf16", error);
  Keep("bf16_weights",
       testing::Bf16Error(Logits(testing::LoadRoundedCase(GetParam(), DecoderFolder())), wide));
  Keep("reference_bf16", reference);
}

/// Tensor by tensor, relative to fp32's. Small ones are what is left of large sums: the worst of
/// any case was 0.19.
TEST_P(DecoderGoldenTest, Bf16GradientsStayNearThoseOfFp32) {
  const auto trained = [](at::ScalarType compute) {
    GoldenCase golden = testing::LoadGoldenCase(GetParam(), compute, DecoderFolder());
    golden.adapter->parameters().EnableGrad();
    testing::Backward(golden, testing::TrainableExamples(golden));
    return golden;
  };
  const GoldenCase wide = trained(at::kFloat), narrow = trained(at::kBFloat16);
  double worst = 0;
  for (const methods::TensorSpec& spec : wide.adapter->parameters().specs()) {
    if (!spec.trained) continue;
    const at::Tensor expected = wide.adapter->parameters().Get(spec.name).grad();
    const at::Tensor got = narrow.adapter->parameters().Get(spec.name).grad();
    const at::Tensor error = at::linalg_vector_norm(got - expected);
    worst = std::max(worst, (error / at::linalg_vector_norm(expected)).item<double>());
  }
  EXPECT_LE(worst, 0.3);
}

/// One thing that an engine can get wrong, as another config.json over the same weights.
struct Mutant {
  const char* name;
  std::function<bool(const Json& config)> applies;
  std::function<void(Json& config)> change;
};

const std::vector<Mutant>& Mutants() {
  static const auto* mutants = new std::vector<Mutant>{
      {"AnotherNormEpsilon", [](const Json&) { return true; },
       [](Json& config) { config["rms_norm_eps"] = 3e-2; }},
      {"AnotherTheta", [](const Json&) { return true; },
       [](Json& config) {
         for (const char* section : {"rope_parameters", "rope_scaling"}) {
           if (config.contains(section) && config[section].contains("rope_theta"))
             config[section]["rope_theta"] = config[section]["rope_theta"].get<double>() * 1.1;
         }
         if (config.contains("rope_theta"))
           config["rope_theta"] = config["rope_theta"].get<double>() * 1.1;
       }},
      {"NoRopeScaling",
       [](const Json& config) {
         for (const char* section : {"rope_parameters", "rope_scaling"}) {
           const Json rope = config.value(section, Json());
           if (rope.is_object() &&
               rope.value("rope_type", rope.value("type", "default")) != "default")
             return true;
         }
         return false;
       },
       [](Json& config) {
         double theta = config.value("rope_theta", 10000.0);
         for (const char* section : {"rope_parameters", "rope_scaling"}) {
           if (config.contains(section) && config[section].contains("rope_theta"))
             theta = config[section]["rope_theta"];
           config.erase(section);
         }
         config["rope_theta"] = theta;
       }},
      {"NoWindow",
       [](const Json& config) {
         return config.value("sliding_window", Json()).is_number() &&
                config.value("use_sliding_window", true);
       },
       [](Json& config) {
         config["sliding_window"] = nullptr;
         config.erase("layer_types");
       }},
      {"AWindowOfOneMore",
       [](const Json& config) {
         return config.value("sliding_window", Json()).is_number() &&
                config.value("use_sliding_window", true);
       },
       [](Json& config) { config["sliding_window"] = config["sliding_window"].get<int>() + 1; }},
  };
  return *mutants;
}

TEST_P(DecoderGoldenTest, EnginesThatReadTheConfigWrongFail) {
  Json config;
  const GoldenCase golden = Load(GetParam(), [&](Json& read) { config = read; });
  for (const Mutant& mutant : Mutants()) {
    if (!mutant.applies(config)) continue;
    const GoldenCase broken = Load(GetParam(), mutant.change);

    const double error = ErrorOf(Logits(broken), golden.expected.at("logits"));
    EXPECT_GT(error, 10 * kLogitTolerance) << mutant.name;
    Keep(mutant.name, error);
  }
}

TEST_P(DecoderGoldenTest, EnginesThatUseTensorsWrongFail) {
  const auto with = [](const std::function<bool(Adapter&)>& change) -> std::optional<double> {
    const GoldenCase golden = Load(GetParam());
    if (!change(*golden.adapter)) return std::nullopt;
    return ErrorOf(Logits(golden), golden.expected.at("logits"));
  };
  /// Changes each tensor whose name ends so; true if there is one.
  const auto each = [](const char* end, const std::function<void(at::Tensor)>& change) {
    return [=](Adapter& adapter) {
      bool any = false;
      for (const methods::TensorSpec& spec : adapter.parameters().specs()) {
        if (!spec.name.ends_with(end)) continue;
        change(adapter.parameters().Get(spec.name));
        any = true;
      }
      return any;
    };
  };
  const auto scale = [](at::Tensor tensor) { tensor.mul_(1.02); };
  /// Key-value heads in another order: what their sharing by neighbours hangs on.
  const auto turn = [](at::Tensor tensor) { tensor.copy_(tensor.roll({tensor.size(0) / 2}, {0})); };
  int tried = 0;
  for (const auto& [name, change] :
       {std::pair("a scale", each("lora_B.weight", scale)),
        std::pair("a bottleneck's scale", each("adapter_up.weight", scale)),
        std::pair("no bottleneck", each("adapter_up.weight", [](at::Tensor t) { t.zero_(); })),
        std::pair("no adapter", each("lora_B.weight", [](at::Tensor t) { t.zero_(); })),
        std::pair("norms of queries", each("q_norm.weight", [](at::Tensor t) { t.fill_(1); })),
        std::pair("norms of keys", each("k_norm.weight", [](at::Tensor t) { t.fill_(1); })),
        std::pair("the last norm", each("model.norm.weight", [](at::Tensor t) { t.fill_(1); })),
        std::pair("biases", each("q_proj.bias", [](at::Tensor t) { t.zero_(); })),
        std::pair("a classifier", each("score.weight", scale)),
        std::pair("key-value heads", each("v_proj.weight", turn))}) {
    const std::optional<double> error = with(change);
    if (!error) continue;
    ++tried;
    EXPECT_GT(*error, 10 * kLogitTolerance) << name;
  }
  EXPECT_GT(tried, 0);
  Keep("broken", tried);
}

TEST_P(DecoderGoldenTest, AnEngineWithoutPositionsFails) {
  const GoldenCase golden = Load(GetParam());
  PackedBatch batch = golden.Batch(golden.adapter.get());
  const WeightSet weights(*golden.base, golden.adapter.get());
  const at::NoGradGuard no_grad;
  const auto hidden = [&] {
    at::Tensor x = golden.model->Embed(Pass(batch, weights));
    const Pass pass(batch, weights);
    for (int64_t i = 0; i < golden.model->num_layers(); ++i)
      x = golden.model->Layer(i, x, pass, batch.tokens);
    return x;
  };
  const at::Tensor expected = hidden();
  batch.position_ids_T.zero_();

  EXPECT_GT(ErrorOf(hidden(), expected), 10 * kLogitTolerance);
}

TEST(DecoderCasesTest, EveryFamilyMethodAndTaskIsThere) {
  std::vector<std::string> wanted;
  for (const char* base : {"llama", "mistral", "qwen2", "qwen3"}) {
    for (const char* kind : {"full", "last-layers", "lora", "lora-all", "lora-chat", "classify",
                             "classify-full", "classify-last-layers"})
      wanted.push_back(std::string(base) + "-" + kind);
  }
  // AdapterHub's library knows two of the families.
  for (const char* base : {"llama", "mistral"}) {
    for (const char* kind : {"houlsby", "pfeiffer", "bottleneck-classify"})
      wanted.push_back(std::string(base) + "-" + kind);
  }
  for (const char* base :
       {"llama-bias", "llama-linear", "llama-llama3", "llama-yarn", "qwen2-window"}) {
    for (const char* kind : {"full", "lora"}) wanted.push_back(std::string(base) + "-" + kind);
  }

  EXPECT_THAT(testing::GoldenCaseNames(DecoderFolder()),
              ::testing::UnorderedElementsAreArray(wanted));
}

INSTANTIATE_TEST_SUITE_P(Cases, DecoderGoldenTest,
                         ::testing::ValuesIn(testing::GoldenCaseNames(DecoderFolder())),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace graft::worker::engine
