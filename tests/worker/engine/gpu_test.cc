/// A GPU computes what the CPU computes: its kernels take other types and shapes, so each operation
/// that meets two types or odd sizes, and whole jobs of every kind. Skipped where there is none.

#include <gtest/gtest.h>

#include <algorithm>

#include <ATen/Context.h>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/kernels/attention.h"
#include "worker/engine/kernels/norm.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/training/train_pass.h"

namespace graft::worker::engine {
namespace {

using testing::Hyper;
using testing::MakeData;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::RunJob;

at::Tensor Random(std::vector<int64_t> shape, uint64_t index) {
  const at::Tensor tensor = at::empty(shape, at::kFloat);
  FillNormal(tensor, 1, 0, 7, index);
  return tensor;
}

/// Largest difference of two results, the larger one's size being 1.
double Error(const at::Tensor& gpu, const at::Tensor& cpu) {
  const at::Tensor host = gpu.detach().cpu().to(at::kFloat);
  return ((host - cpu.detach()).abs().max() / cpu.detach().abs().max()).item<double>();
}

class GpuTest : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "this machine has no GPU for libtorch";
  }

  /// A leaf on the GPU with the parameter's type, and one in fp32 on the CPU with its values.
  std::pair<at::Tensor, at::Tensor> Leaves(std::vector<int64_t> shape, uint64_t index) {
    at::Tensor cpu = Random(std::move(shape), index).to(GetParam()).to(at::kFloat);
    at::Tensor gpu = cpu.to(at::Device(at::kCUDA, 0)).to(GetParam());
    return {gpu.requires_grad_(true), cpu.requires_grad_(true)};
  }
  double tolerance() const { return GetParam() == at::kFloat ? 1e-4 : 3e-2; }
};

TEST_P(GpuTest, LayerNormTakesNarrowRowsWithWideWeights) {
  const auto [x_gpu, x_cpu] = Leaves({9, 48}, 1);
  at::Tensor weight = Random({48}, 2);
  const at::Tensor bias = Random({48}, 3);
  at::Tensor weight_gpu = weight.to(at::Device(at::kCUDA, 0)).requires_grad_(true);
  weight.requires_grad_(true);

  const at::Tensor gpu = LayerNorm(x_gpu, weight_gpu, bias.to(weight_gpu.device()), 1e-12);
  const at::Tensor cpu = LayerNorm(x_cpu, weight, bias, 1e-12);
  gpu.backward(at::ones_like(gpu));
  cpu.backward(at::ones_like(cpu));

  EXPECT_EQ(gpu.scalar_type(), GetParam());
  EXPECT_LE(Error(gpu, cpu), tolerance());
  EXPECT_EQ(weight_gpu.grad().scalar_type(), at::kFloat);
  EXPECT_LE(Error(weight_gpu.grad(), weight.grad()), tolerance());
}

/// Whole sequences, and rows of them that are wanted.
PackedBatch BatchOn(at::Device device, bool only_last) {
  static const std::vector<int32_t> ids(256), last = {4, 0, 129, 31}, some = {1, 3};
  std::vector<Sequence> sequences;
  for (const int64_t length : {5, 1, 130, 32}) {
    Sequence& sequence = sequences.emplace_back();
    sequence.ids = ids.data();
    sequence.length = length;
    sequence.wanted = only_last || length < 5 ? std::span(&last[sequences.size() - 1], 1)
                                              : std::span<const int32_t>(some);
  }
  return Pack(sequences, std::vector<Owner>(sequences.size()), device);
}

TEST_P(GpuTest, AttentionTakesHeadsOfAnySizeMasksAndSomeRows) {
  for (const int64_t head : {12, 32, 5}) {
    for (const AttentionShape& shape :
         {AttentionShape{.heads = 4, .kv_heads = 4, .head_dim = head},
          AttentionShape{.heads = 4, .kv_heads = 2, .head_dim = head, .causal = true},
          AttentionShape{
              .heads = 4, .kv_heads = 1, .head_dim = head, .causal = true, .window = 7}}) {
      for (const bool only_last : {true, false}) {
        const PackedBatch on_cpu = BatchOn(at::kCPU, only_last);
        const PackedBatch on_gpu = BatchOn(at::Device(at::kCUDA, 0), only_last);
        const int64_t width = shape.heads * head, kv_width = 2 * shape.kv_heads * head;
        const auto [qkv_gpu, qkv_cpu] = Leaves({on_cpu.num_rows(), width + kv_width}, 10 + head);
        const auto [q_gpu, q_cpu] = Leaves({on_cpu.wanted.size(), width}, 50 + head);

        const at::Tensor gpu = Attend(qkv_gpu, on_gpu.tokens, shape);
        const at::Tensor cpu = Attend(qkv_cpu, on_cpu.tokens, shape);
        const at::Tensor some_gpu = Attend(q_gpu, qkv_gpu.narrow(1, width, kv_width).contiguous(),
                                           on_gpu.wanted, on_gpu.tokens, shape);
        const at::Tensor some_cpu = Attend(q_cpu, qkv_cpu.narrow(1, width, kv_width).contiguous(),
                                           on_cpu.wanted, on_cpu.tokens, shape);
        (gpu.pow(2).sum() + some_gpu.pow(2).sum()).backward();
        (cpu.pow(2).sum() + some_cpu.pow(2).sum()).backward();

        const std::string what = std::to_string(head) + " of " + std::to_string(shape.kv_heads) +
                                 (only_last ? ", the last rows" : ", some rows");
        EXPECT_LE(Error(gpu, cpu), tolerance()) << what;
        EXPECT_LE(Error(some_gpu, some_cpu), tolerance()) << what;
        EXPECT_LE(Error(qkv_gpu.grad(), qkv_cpu.grad()), tolerance()) << what;
        EXPECT_LE(Error(q_gpu.grad(), q_cpu.grad()), tolerance()) << what;
      }
    }
  }
}

/// The mean loss over all of a case's sequences, its gradients added to the adapter's.
double Backward(const testing::GoldenCase& golden) {
  std::vector<uint32_t> examples;
  for (int64_t i = 0; i < golden.data.size(); ++i) {
    if (golden.data.num_targets(i) > 0) examples.push_back(static_cast<uint32_t>(i));
  }
  golden.adapter->parameters().EnableGrad();
  const auto targets = static_cast<double>(golden.num_targets());
  return RunTrainPass(*golden.model, *golden.base,
                      {{.adapter = *golden.adapter,
                        .task = *golden.task,
                        .data = golden.data,
                        .examples = examples,
                        .divisor = targets}},
                      Tape::kWhole, [] {})
             .losses.front() /
         targets;
}

/// Of all gradients together, relative to those of `exact`.
double GradientError(const testing::GoldenCase& one, const testing::GoldenCase& exact) {
  const at::Tensor gradient = exact.adapter->parameters().grad_P();
  const at::Tensor difference = one.adapter->parameters().grad_P().cpu() - gradient;
  return at::linalg_vector_norm(difference).item<double>() /
         at::linalg_vector_norm(gradient).item<double>();
}

TEST_P(GpuTest, DecodersHaveTheLossesAndGradientsOfTheCpu) {
  const std::string folder = testing::DecoderFolder();
  for (const std::string& name : testing::GoldenCaseNames(folder)) {
    const auto gpu =
        testing::LoadGoldenCase(name, GetParam(), folder, {}, at::Device(at::kCUDA, 0));
    const auto cpu = testing::LoadGoldenCase(name, at::kFloat, folder);

    const double loss = Backward(gpu), expected = Backward(cpu);

    EXPECT_NEAR(loss, expected, tolerance() * expected) << name;
    // How much bf16 costs depends on the case: the processor's own bf16 tells.
    double bound = 1e-3;
    if (GetParam() != at::kFloat) {
      const auto narrow = testing::LoadGoldenCase(name, GetParam(), folder);
      static_cast<void>(Backward(narrow));
      bound = std::max(1e-2, 1.5 * GradientError(narrow, cpu));
    }
    EXPECT_LE(GradientError(gpu, cpu), bound) << name;
  }
}

TEST_P(GpuTest, EveryMethodTrainsAndServes) {
  EngineOptions options;
  options.bases = testing::GoldenFolder();
  options.device = "cuda:0";
  const auto engine = std::move(Engine::Create(std::move(options))).value();
  const auto cpu = testing::MakeEngine();
  for (const Json& method :
       {Json{{"lora", {{"rank", 4}, {"dropout", 0.1}}}}, Json{{"bottleneck", {{"size", 8}}}},
        Json{{"bottleneck", {{"size", 8}, {"unfreeze_base", true}}}},
        Json{{"full", Json::object()}}}) {
    const auto spec = MakeSpec(method, [](Hyper& hp) {
      hp.precision = GetParam() == at::kFloat ? spec::Precision::kFp32 : spec::Precision::kBf16;
      hp.learning_rate = 1e-3;
    });
    const auto outcome = RunJob(*engine, MakeRequest(spec, MakeData(24, 12, 0)));
    const auto expected = RunJob(*cpu, MakeRequest(spec, MakeData(24, 12, 0)));

    ASSERT_TRUE(outcome.ok()) << method << outcome.status();
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_NEAR(outcome->evaluations.back().loss, expected->evaluations.back().loss, 0.05);
    const auto loaded = testing::Load(*engine, outcome->artifact);
    ASSERT_TRUE(loaded.ok()) << method << loaded.status();
    EXPECT_TRUE(testing::Classify(*engine, outcome->artifact.sha256, {"w1 w2", "w40"}).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GpuTest, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& param) { return std::string(c10::toString(param.param)); });

}  // namespace
}  // namespace graft::worker::engine
