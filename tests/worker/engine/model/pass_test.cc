/// Several owners in one pass: each gets the outputs and the gradients that it would get alone.

#include "worker/engine/model/pass.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/engine/golden_case.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/passes/layer_walk.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {
namespace {

class PassTest : public ::testing::Test {
 protected:
  PassTest() {
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

  /// Sequence s of ids that differ from the others'.
  std::vector<Sequence> Sequences(const std::vector<int>& which) {
    std::vector<Sequence> sequences;
    for (const int s : which) sequences.push_back({ids_[s].data(), nullptr, kLengths[s], 0});
    return sequences;
  }

  /// One training pass; adds the gradients of each owner's loss to its adapter, and returns logits.
  std::vector<at::Tensor> Run(const std::vector<int>& which,
                              const std::vector<const Adapter*>& owners) {
    const PackedBatch batch = Pack(Sequences(which), owners, at::kCPU);
    const WeightSet weights(*base_);
    const Pass pass(batch, weights, {.training = true});
    const Yield no_yield = [] {};
    LayerWalk walk(*model_, pass, 0, no_yield);
    const at::Tensor pooled = walk.Forward();
    const at::AutoGradMode with_grad(true);
    std::vector<at::Tensor> logits;
    at::Tensor loss;
    for (const Segment& segment : batch.segments) {
      const int64_t count = segment.sequence_end - segment.sequence_begin;
      logits.push_back(
          HeadLogits(pooled.narrow(0, segment.sequence_begin, count), weights, *segment.adapter));
      std::vector<int64_t> targets;
      for (int64_t s = segment.sequence_begin; s < segment.sequence_end; ++s)
        targets.push_back(which[static_cast<size_t>(s)] % 3);
      const at::Tensor one = task_->Loss(logits.back(), at::tensor(targets, at::kLong));
      loss = loss.defined() ? loss + one : one;
    }
    loss.backward();
    walk.Backward();
    for (at::Tensor& each : logits) each = each.detach();
    return logits;
  }

  static constexpr int64_t kLengths[] = {5, 9, 3, 12};
  std::shared_ptr<const Base> base_;
  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Task> task_ = MakeTask(tasks::Classification({"a", "b", "c"}));
  std::vector<std::vector<int32_t>> ids_ = [] {
    std::vector<std::vector<int32_t>> ids(4);
    for (size_t s = 0; s < ids.size(); ++s) {
      for (int64_t i = 0; i < kLengths[s]; ++i)
        ids[s].push_back(static_cast<int32_t>(5 + (7 * s + 3 * static_cast<size_t>(i)) % 90));
    }
    return ids;
  }();
};

void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  const double scale = expected.abs().max().item<double>();
  EXPECT_GT(scale, 0) << what;
  EXPECT_LE((actual - expected).abs().max().item<double>(), 1e-5 * scale) << what;
}

TEST_F(PassTest, OwnersGetTheGradientsThatTheyGetAlone) {
  const Json lora = {{"lora", {{"rank", 3}, {"target_modules", {"query", "output.dense"}}}}};
  const Json other = {{"lora", {{"rank", 2}, {"target_modules", {"value", "intermediate.dense"}}}}};
  const Json bottleneck = {{"bottleneck", {{"size", 4}}}};
  for (const auto& [first, second] :
       {std::pair(lora, other), std::pair(lora, bottleneck), std::pair(bottleneck, other)}) {
    const auto a = MakeAdapterOf(first, 1), b = MakeAdapterOf(second, 2);
    const auto a_alone = MakeAdapterOf(first, 1), b_alone = MakeAdapterOf(second, 2);

    const auto together = Run({0, 1, 2, 3}, {a.get(), a.get(), b.get(), b.get()});
    const auto of_a = Run({0, 1}, {a_alone.get(), a_alone.get()});
    const auto of_b = Run({2, 3}, {b_alone.get(), b_alone.get()});

    ExpectClose(together[0], of_a[0], "logits of the first");
    ExpectClose(together[1], of_b[0], "logits of the second");
    for (const auto& [adapter, alone] :
         {std::pair(a.get(), a_alone.get()), {b.get(), b_alone.get()}}) {
      for (const methods::TensorSpec& spec : adapter->parameters().specs()) {
        ExpectClose(adapter->parameters().Get(spec.name).grad(),
                    alone->parameters().Get(spec.name).grad(), spec.name);
      }
    }
  }
}

}  // namespace
}  // namespace graft::worker::engine
