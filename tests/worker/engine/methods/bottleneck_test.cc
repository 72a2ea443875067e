/// Bottleneck adapters of every form: what they give when they serve, many in one pass, is what
/// they give alone as they are trained.

#include "worker/engine/methods/bottleneck.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include <memory>
#include <string>
#include <vector>

#include "common/methods/method_spec.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

/// AdapterHub's forms, each thing once with both placements where both have it.
const std::vector<Json>& Forms() {
  static const auto* forms = new std::vector<Json>{
      {{"placement", "HOULSBY"}, {"size", 8}},
      {{"placement", "HOULSBY"}, {"size", 8}, {"activation", "gelu"}, {"residual", false}},
      {{"placement", "HOULSBY"}, {"size", 5}, {"norm_after", false}, {"activation", "tanh"}},
      {{"placement", "HOULSBY"}, {"size", 8}, {"parallel", true}, {"scaling", 4}},
      {{"placement", "HOULSBY"}, {"size", 8}, {"trained_scaling", "one"}},
      {{"placement", "HOULSBY"}, {"size", 8}, {"trained_scaling", "channel"}, {"parallel", true}},
      {{"placement", "HOULSBY"}, {"layer_sizes", {3, 40, 8}}, {"sublayers", "attention"}},
      {{"placement", "PFEIFFER"}, {"size", 8}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"leave_out", {1}}, {"scaling", 0.5}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"norm_after", false}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"adds_to", "norm"}, {"sublayers", "both"}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"adds_to", "norm"}, {"norm_after", false}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"adds_to", "sum"}, {"activation", "mish"}},
      {{"placement", "PFEIFFER"}, {"size", 8}, {"adds_to", "sum"}, {"norm_after", false}},
  };
  return *forms;
}

constexpr int64_t kTokens = 2;  ///< Of a sequence: all of them are few rows.

/// (golden base, its folder, type)
class BottleneckTest : public ::testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {
 protected:
  void SetUp() override {
    const auto& [name, type] = GetParam();
    at::manual_seed(5);
    const bool decodes = std::string(name) == "base-llama";
    const std::string folder = decodes ? testing::DecoderFolder() : testing::GoldenFolder();
    base_ = *Base::Load(name, folder + "/" + name, type, at::kCPU);
    model_ = *MakeModel(*base_);
    for (const Json& form : Forms()) adapters_.push_back(MakeOne("bottleneck", form));
    adapters_.push_back(MakeOne("lora", {{"rank", 4}}));
    for (size_t i = 0; i < adapters_.size(); ++i) {
      std::vector<int32_t>& ids = ids_.emplace_back();
      for (int64_t k = 0; k < kTokens; ++k) ids.push_back(static_cast<int32_t>(5 + 3 * i + k));
    }
  }

  std::unique_ptr<Adapter> MakeOne(const std::string& method, const Json& fields) const {
    const families::Layout& layout = base_->layout();
    auto spec = methods::ParseMethod(method, fields);
    if (spec.ok()) spec = (*spec)->Resolve(layout);
    if (!spec.ok()) throw std::runtime_error(spec.status().ToString() + fields.dump());
    auto adapter = std::move(MakeAdapter(*spec, layout, TaskOf(layout), at::kCPU)).value();
    for (const methods::TensorSpec& tensor : adapter->parameters().specs()) {
      at::Tensor value = adapter->parameters().Get(tensor.name);
      value.copy_(at::randn(value.sizes()) * 0.3);
    }
    return adapter;
  }
  static tasks::TaskSpec TaskOf(const families::Layout& layout) {
    if (!layout.causal) return tasks::Classification({"a", "b"});
    return {.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}};
  }

  Sequence SequenceOf(size_t i) const { return {.ids = ids_[i].data(), .length = kTokens}; }
  /// The outputs of adapter `i`'s sequence where it is alone; null: the base's.
  at::Tensor Alone(size_t i, const Adapter* owner) const {
    return ForwardPass::Run(*model_, *base_, {SequenceOf(i)}, {owner}, [] {}).hidden_RD;
  }
  /// Their outputs in one pass, with a sequence of the base's behind each third.
  std::vector<at::Tensor> Together(const std::vector<size_t>& which) const {
    std::vector<Sequence> sequences;
    std::vector<const Adapter*> owners;
    std::vector<size_t> place;
    for (const size_t i : which) {
      place.push_back(owners.size());
      sequences.push_back(SequenceOf(i));
      owners.push_back(adapters_[i].get());
      if (owners.size() % 4 != 3) continue;
      sequences.push_back(SequenceOf(0));
      owners.push_back(nullptr);
    }
    const auto pass = ForwardPass::Run(*model_, *base_, sequences, owners, [] {});
    std::vector<at::Tensor> outputs;
    for (const size_t at : place)
      outputs.push_back(pass.hidden_RD.narrow(0, static_cast<int64_t>(at) * kTokens, kTokens));
    return outputs;
  }
  /// Root mean square, of the right one's deviation.
  static double Difference(const at::Tensor& left, const at::Tensor& right) {
    const at::Tensor difference = left.to(at::kFloat) - right.to(at::kFloat);
    return (difference.square().mean().sqrt() / right.to(at::kFloat).std()).item<double>();
  }
  static double tolerance() { return std::get<1>(GetParam()) == at::kFloat ? 1e-5 : 0.1; }

  std::shared_ptr<const Base> base_;
  std::unique_ptr<Model> model_;
  std::vector<std::unique_ptr<Adapter>> adapters_;
  std::vector<std::vector<int32_t>> ids_;
};

TEST_P(BottleneckTest, ServingAllFormsInOnePassGivesWhatEachWasTrainedToGive) {
  std::vector<at::Tensor> trained;
  for (size_t i = 0; i < adapters_.size(); ++i) {
    trained.push_back(Alone(i, adapters_[i].get()));
    EXPECT_GT(Difference(trained.back(), Alone(i, nullptr)), 0.2) << "it hardly does anything";
  }
  std::vector<size_t> all;
  for (size_t i = 0; i < adapters_.size(); ++i) {
    adapters_[i]->PrepareServing(base_->compute());
    all.push_back((i * 4) % adapters_.size());
  }

  const std::vector<at::Tensor> served = Together(all);

  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_LE(Difference(served[i], trained[all[i]]), tolerance()) << all[i];
}

TEST_P(BottleneckTest, WhoIsBesideThemChangesNoBit) {
  std::vector<std::vector<size_t>> halves(2);
  for (size_t i = 0; i < adapters_.size(); ++i) {
    adapters_[i]->PrepareServing(base_->compute());
    halves[i % 2].push_back(i);
  }
  for (const std::vector<size_t>& half : halves) {
    const std::vector<at::Tensor> together = Together(half);

    for (size_t i = 0; i < half.size(); ++i)
      EXPECT_TRUE(together[i].equal(Alone(half[i], adapters_[half[i]].get()))) << half[i];
  }
}

TEST_P(BottleneckTest, OneThatIsTrainedMayBeBesideOnesThatServe) {
  const size_t trained = 7;
  const at::Tensor expected = Alone(trained, adapters_[trained].get());
  for (size_t i = 0; i < adapters_.size(); ++i) {
    if (i != trained) adapters_[i]->PrepareServing(base_->compute());
  }

  EXPECT_LE(Difference(Together({3, trained, 10})[1], expected), tolerance());
}

TEST_P(BottleneckTest, ItHoldsOneCopyOfItsNetworksInTheBasesPrecision) {
  Adapter& adapter = *adapters_.front();
  int64_t elements = 0, kept = 0;
  for (const methods::TensorSpec& spec : adapter.parameters().specs()) {
    const int64_t count = adapter.parameters().Get(spec.name).numel();
    (spec.name.find("adapter_") != std::string::npos ? elements : kept) += count;
  }
  const auto size = static_cast<int64_t>(c10::elementSize(base_->compute()));

  adapter.PrepareServing(base_->compute());

  EXPECT_EQ(adapter.bytes().tensors, elements * size + kept * 4);
  EXPECT_LE(adapter.bytes().tensors, adapter.bytes().buffers);
}

INSTANTIATE_TEST_SUITE_P(BasesAndTypes, BottleneckTest,
                         ::testing::Combine(::testing::Values("base-bert", "base-distilbert",
                                                              "base-llama"),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace graft::worker::engine
