/// A pass over conversations that begin alike has the losses and gradients that each has alone.

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>

#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/training/train_pass.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

constexpr int32_t kCommon = 20;  ///< Longer than the families' windows.

/// Five conversations, four of which begin alike, two of these for longer; each is read in two
/// places, behind which two more tokens stand.
TokenizedSplit Conversations() {
  TokenizedSplit data;
  for (int32_t s = 0; s < 5; ++s) {
    tokenizers::Encoding encoding;
    for (int32_t i = 0; i < kCommon; ++i) encoding.ids.push_back(5 + (s == 3 ? 7 : 3) * i % 70);
    if (s >= 2)
      for (int32_t i = 0; i < 6; ++i) encoding.ids.push_back(9 + i);
    for (int32_t i = 0; i < 4 + s; ++i) encoding.ids.push_back(5 + (11 * s + 3 * i) % 70);
    encoding.type_ids.assign(encoding.ids.size(), 0);
    const auto length = static_cast<int32_t>(encoding.ids.size());
    const std::vector<int32_t> positions = {length - 5, length - 3};
    const std::vector<int32_t> targets = {17 + s, 30 + s};
    data.Append(encoding, targets, positions);
  }
  return data;
}

class NeededRowsPassTest
    : public ::testing::TestWithParam<std::tuple<const char*, const char*, at::ScalarType>> {
 protected:
  NeededRowsPassTest() {
    InstallCpuAllocator();
    base_ = Must(Base::Load("base",
                            std::filesystem::path(testing::DecoderFolder()) /
                                (std::string("base-") + std::get<0>(GetParam())),
                            std::get<2>(GetParam()), at::kCPU));
    model_ = Must(MakeModel(*base_));
  }

  std::unique_ptr<Adapter> MakeAdapterOf(const Json& method) {
    const auto parsed = Must(methods::ParseMethod(method.begin().key(), method.begin().value()));
    auto adapter = Must(MakeAdapter(Must(parsed->Resolve(base_->layout())), base_->layout(),
                                    task_->spec(), at::kCPU));
    Must(InitialiseAdapter(*adapter, *base_, 1));
    if (!adapter->overrides_base()) {
      uint64_t index = 0;
      for (const methods::TensorSpec& spec : adapter->parameters().specs())
        FillNormal(adapter->parameters().Get(spec.name), 0.1, 0, 3, index++);
    }
    adapter->parameters().EnableGrad();
    return adapter;
  }

  TrainPart PartOf(const Adapter& adapter, const std::vector<uint32_t>& examples) const {
    return {.adapter = adapter, .task = *task_, .data = data_, .examples = examples};
  }
  double Run(const Adapter& adapter, const std::vector<uint32_t>& examples,
             Tape tape = Tape::kWhole) {
    return RunTrainPass(*model_, *base_, {PartOf(adapter, examples)}, tape, [] {}).losses.front();
  }
  /// Of the second against the first's.
  void ExpectGradients(const Adapter& actual, const Adapter& expected) const {
    // In bf16 other sums are rounded: the few numbers of a bias differed by 6 % on an Intel with
    // AMX.
    const double tolerance = base_->compute() == at::kBFloat16 ? 1e-1 : 1e-5;
    for (const methods::TensorSpec& spec : actual.parameters().specs()) {
      if (!spec.trained) continue;
      const at::Tensor grad = actual.parameters().Get(spec.name).grad();
      const at::Tensor reference = expected.parameters().Get(spec.name).grad();
      ASSERT_TRUE(grad.defined()) << spec.name;
      const double scale = reference.norm().item<double>();
      EXPECT_GT(scale, 0) << spec.name;
      EXPECT_LE((grad - reference).norm().item<double>(), tolerance * scale) << spec.name;
    }
  }

  std::shared_ptr<const Base> base_;
  std::shared_ptr<const Model> model_;
  const std::shared_ptr<const Task> task_ =
      MakeTask(tasks::TaskSpec{tasks::Kind::kCausalLanguageModeling, {}});
  const TokenizedSplit data_ = Conversations();
};

TEST_P(NeededRowsPassTest, LossesAndGradientsAreThoseOfEachAlone) {
  const Json method = Json::parse(std::get<1>(GetParam()));
  const auto together = MakeAdapterOf(method), alone = MakeAdapterOf(method);
  const bool is_bf16 = std::get<2>(GetParam()) == at::kBFloat16;

  const double loss = Run(*together, {0, 1, 2, 3, 4});
  double sum = 0;
  for (uint32_t example = 0; example < 5; ++example) sum += Run(*alone, {example});

  EXPECT_NEAR(loss, sum, (is_bf16 ? 1e-2 : 1e-5) * sum);
  ExpectGradients(*together, *alone);
}

TEST_P(NeededRowsPassTest, LayersThatAreComputedAgainHaveTheSameGradients) {
  const Json method = Json::parse(std::get<1>(GetParam()));
  const auto kept = MakeAdapterOf(method), again = MakeAdapterOf(method);

  EXPECT_EQ(Run(*kept, {0, 1, 2, 3, 4}), Run(*again, {0, 1, 2, 3, 4}, Tape::kInputs));

  for (const methods::TensorSpec& spec : kept->parameters().specs()) {
    if (!spec.trained) continue;
    EXPECT_TRUE(
        kept->parameters().Get(spec.name).grad().equal(again->parameters().Get(spec.name).grad()))
        << spec.name;
  }
}

TEST_P(NeededRowsPassTest, JobsInOnePassShareWithinEachAlone) {
  const Json method = Json::parse(std::get<1>(GetParam()));
  if (method.contains("full")) return;  // What overrides the base is alone in a pass.
  const auto a = MakeAdapterOf(method), b = MakeAdapterOf(method);
  const auto a_alone = MakeAdapterOf(method), b_alone = MakeAdapterOf(method);
  for (const auto& adapter : {b.get(), b_alone.get()}) {
    const at::NoGradGuard no_grad;
    for (const methods::TensorSpec& spec : adapter->parameters().specs())
      adapter->parameters().Get(spec.name).mul_(-0.5);
  }
  const std::vector<uint32_t> first = {0, 3, 4}, second = {2, 0, 1};

  const TrainPassResult pass =
      RunTrainPass(*model_, *base_, {PartOf(*a, first), PartOf(*b, second)}, Tape::kWhole, [] {});

  const double tolerance = base_->compute() == at::kBFloat16 ? 1e-2 : 1e-5;
  const double of_a = Run(*a_alone, first), of_b = Run(*b_alone, second);
  EXPECT_NEAR(pass.losses.at(0), of_a, tolerance * of_a);
  EXPECT_NEAR(pass.losses.at(1), of_b, tolerance * of_b);
  ExpectGradients(*a, *a_alone);
  ExpectGradients(*b, *b_alone);
}

TEST_P(NeededRowsPassTest, ABeginningTakesTheMemoryOfOne) {
  const auto adapter = MakeAdapterOf(Json::parse(std::get<1>(GetParam())));
  const auto peak = [&](const std::vector<uint32_t>& examples) {
    const int64_t before = GetCpuMemoryFigures().used_bytes;
    ResetPeakCpuMemory();
    (void)Run(*adapter, examples);
    return GetCpuMemoryFigures().peak_bytes - before;
  };
  (void)peak({0});  // What is made once.

  // 26 + 4 + 6 rows of a conversation, against its last ten eight times more.
  EXPECT_LT(peak({4, 2, 2, 2, 2, 2, 2, 2}), 4 * peak({4}));
}

INSTANTIATE_TEST_SUITE_P(
    Families, NeededRowsPassTest,
    ::testing::Combine(
        ::testing::Values("llama", "mistral", "qwen2-window", "qwen3"),
        ::testing::Values(R"({"lora": {"rank": 3, "target_modules": ["q_proj", "v_proj"]}})",
                          R"({"bottleneck": {"size": 4}})", R"({"full": {}})"),
        ::testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& cell) {
      std::string name = std::string(std::get<0>(cell.param)) + "_" +
                         Json::parse(std::get<1>(cell.param)).begin().key() + "_" +
                         at::toString(std::get<2>(cell.param));
      std::ranges::replace(name, '-', '_');
      return name;
    });

}  // namespace
}  // namespace graft::worker::engine
