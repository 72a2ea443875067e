/// Several owners in one pass: each gets the outputs and the gradients that it would get alone.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/engine/golden_case.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/training/train_pass.h"

namespace graft::worker::engine {
namespace {

class TrainPassTest : public ::testing::Test {
 protected:
  TrainPassTest() {
    InstallCpuAllocator();  // It counts.
    base_ = *Base::Load("base-bert", std::filesystem::path(testing::GoldenFolder()) / "base-bert",
                        at::kFloat, at::kCPU);
    model_ = *MakeModel(*base_);
  }

  /// With no tensor zero, so that every gradient shows.
  std::unique_ptr<Adapter> MakeAdapterOf(const Json& method, uint64_t seed) {
    const auto parsed = methods::ParseMethod(method.begin().key(), method.begin().value());
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    const auto resolved = (*parsed)->Resolve(base_->layout());
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    auto adapter = *MakeAdapter(*resolved, base_->layout(), task_->spec(), at::kCPU);
    uint64_t index = 0;
    for (const methods::TensorSpec& spec : adapter->parameters().specs())
      FillNormal(adapter->parameters().Get(spec.name), 0.1, 0, seed, index++);
    adapter->parameters().EnableGrad();
    return adapter;
  }

  /// Adds the gradients of each owner's loss over its sequences to its adapter, in one pass, and
  /// returns the losses. An owner has two sequences, `first` being the first one's.
  std::vector<double> Run(int first, const std::vector<const Adapter*>& owners,
                          Tape tape = Tape::kWhole) {
    std::vector<TrainPart> parts;
    std::vector<std::vector<uint32_t>> examples;
    for (size_t i = 0; i < owners.size(); ++i) {
      const auto number = static_cast<uint32_t>(first) + 2 * static_cast<uint32_t>(i);
      examples.push_back({number, number + 1});
    }
    for (size_t i = 0; i < owners.size(); ++i)
      parts.push_back(
          {.adapter = *owners[i], .task = *task_, .data = data_, .examples = examples[i]});
    return RunTrainPass(*model_, *base_, parts, tape, [] {}).losses;
  }

  static constexpr int64_t kLengths[] = {5, 9, 3, 12};
  std::shared_ptr<const Base> base_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Task> task_ = MakeTask(tasks::Classification({"a", "b", "c"}));
  /// Sequences of ids that differ from one another's, each with a label.
  const TokenizedSplit data_ = [] {
    TokenizedSplit data;
    for (int32_t s = 0; s < 4; ++s) {
      tokenizers::Encoding encoding;
      for (int32_t i = 0; i < kLengths[s]; ++i) encoding.ids.push_back(5 + (7 * s + 3 * i) % 90);
      encoding.type_ids.assign(encoding.ids.size(), 0);
      const int32_t label = s % 3, position = 0;
      data.Append(encoding, {&label, 1}, {&position, 1});
    }
    return data;
  }();
};

void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  const double scale = expected.abs().max().item<double>();
  EXPECT_GT(scale, 0) << what;
  EXPECT_LE((actual - expected).abs().max().item<double>(), 1e-5 * scale) << what;
}

TEST_F(TrainPassTest, OwnersGetTheGradientsThatTheyGetAlone) {
  const Json lora = {{"lora", {{"rank", 3}, {"target_modules", {"query", "output.dense"}}}}};
  const Json other = {{"lora", {{"rank", 2}, {"target_modules", {"value", "intermediate.dense"}}}}};
  const Json bottleneck = {{"bottleneck", {{"size", 4}}}};
  for (const auto& [first, second] :
       {std::pair(lora, other), std::pair(lora, bottleneck), std::pair(bottleneck, other)}) {
    const auto a = MakeAdapterOf(first, 1), b = MakeAdapterOf(second, 2);
    const auto a_alone = MakeAdapterOf(first, 1), b_alone = MakeAdapterOf(second, 2);

    const auto together = Run(0, {a.get(), b.get()});
    const auto of_a = Run(0, {a_alone.get()});
    const auto of_b = Run(2, {b_alone.get()});

    EXPECT_NEAR(together[0], of_a[0], 1e-5 * of_a[0]);
    EXPECT_NEAR(together[1], of_b[0], 1e-5 * of_b[0]);
    for (const auto& [adapter, alone] :
         {std::pair(a.get(), a_alone.get()), {b.get(), b_alone.get()}}) {
      for (const methods::TensorSpec& spec : adapter->parameters().specs()) {
        ExpectClose(adapter->parameters().Get(spec.name).grad(),
                    alone->parameters().Get(spec.name).grad(), spec.name);
      }
    }
  }
}

TEST_F(TrainPassTest, LayersThatAreComputedAgainHaveTheSameGradientsInLessMemory) {
  for (const Json& method :
       {Json{{"lora", {{"rank", 3}, {"dropout", 0.3}, {"target_modules", {"query", "value"}}}}},
        Json{{"bottleneck", {{"size", 4}, {"dropout", 0.3}}}}, Json{{"full", Json::object()}}}) {
    const auto kept = MakeAdapterOf(method, 1), again = MakeAdapterOf(method, 1);

    ResetPeakCpuMemory();
    const auto loss = Run(0, {kept.get()});
    const int64_t peak = GetCpuMemoryFigures().peak_bytes;
    ResetPeakCpuMemory();
    EXPECT_EQ(Run(0, {again.get()}, Tape::kInputs), loss);
    const int64_t peak_again = GetCpuMemoryFigures().peak_bytes;

    for (const methods::TensorSpec& spec : kept->parameters().specs()) {
      const auto gradient = [&](const auto& of) { return of->parameters().Get(spec.name).grad(); };
      ASSERT_EQ(gradient(kept).defined(), gradient(again).defined()) << spec.name;
      if (!gradient(kept).defined()) continue;
      EXPECT_TRUE(gradient(kept).equal(gradient(again))) << method << spec.name;
    }
    EXPECT_LT(peak_again, peak) << method;
  }
}

TEST_F(TrainPassTest, ALossThatIsntFiniteLeavesTheOthersGradientsAsTheyAre) {
  const Json lora = {{"lora", {{"rank", 3}, {"target_modules", {"query"}}}}};
  const auto a = MakeAdapterOf(lora, 1), b = MakeAdapterOf(lora, 2),
             b_alone = MakeAdapterOf(lora, 2);
  a->parameters().flat_P().detach().fill_(NAN);

  const auto together = Run(0, {a.get(), b.get()});
  Run(2, {b_alone.get()});

  EXPECT_TRUE(std::isnan(together[0]));
  for (const methods::TensorSpec& spec : b->parameters().specs()) {
    ExpectClose(b->parameters().Get(spec.name).grad(), b_alone->parameters().Get(spec.name).grad(),
                spec.name);
  }
}

}  // namespace
}  // namespace graft::worker::engine
