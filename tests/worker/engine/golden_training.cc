#include "tests/worker/engine/golden_training.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "worker/engine/training/optimizer.h"
#include "worker/engine/training/train_pass.h"

namespace graft::worker::engine::testing {
namespace {

std::vector<uint32_t> Trainable(const GoldenCase& golden, std::vector<uint32_t> examples) {
  std::erase_if(examples, [&](uint32_t i) { return golden.data.num_targets(i) == 0; });
  return examples;
}

std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(), wide.const_data_ptr<double>() + wide.numel()};
}

spec::Hyperparameters HyperparametersOf(const Json& training) {
  spec::Hyperparameters hp;
  hp.adam_beta1 = training["beta1"];
  hp.adam_beta2 = training["beta2"];
  hp.adam_epsilon = training["eps"];
  hp.weight_decay = training["weight_decay"];
  hp.max_grad_norm = training["max_grad_norm"];
  return hp;
}

}  // namespace

std::vector<uint32_t> TrainableExamples(const GoldenCase& golden) {
  std::vector<uint32_t> examples(static_cast<size_t>(golden.data.size()));
  std::iota(examples.begin(), examples.end(), 0);
  return Trainable(golden, std::move(examples));
}

double Backward(const GoldenCase& golden, const std::vector<uint32_t>& examples) {
  const double targets =
      std::accumulate(examples.begin(), examples.end(), 0.0, [&](double sum, uint32_t i) {
        return sum + static_cast<double>(golden.data.num_targets(i));
      });
  const TrainPart part{.adapter = *golden.adapter,
                       .task = *golden.task,
                       .data = golden.data,
                       .examples = examples,
                       .divisor = targets};
  return RunTrainPass(*golden.model, *golden.base, {part}, Tape::kWhole, [] {}).losses.front() /
         targets;
}

double TrainedLossError(const GoldenCase& golden) {
  const Json& training = golden.json["training"];
  ParameterSet& parameters = golden.adapter->parameters();
  parameters.EnableGrad();
  AdamW optimizer(parameters, HyperparametersOf(training));
  const std::vector<double> expected = Values(golden.expected.at("step_losses"));
  double worst = 0;
  const auto compare = [&](double loss, double reference) {
    worst = std::max(worst, std::abs(loss - reference) / std::max(1.0, reference));
  };
  for (size_t step = 0; step < expected.size(); ++step) {
    const auto examples = Trainable(golden, training["batches"][step].get<std::vector<uint32_t>>());
    compare(examples.empty() ? 0 : Backward(golden, examples), expected[step]);
    optimizer.Step(training["lr"], optimizer.GradNorm());
    optimizer.ZeroGrad();
  }
  compare(Backward(golden, TrainableExamples(golden)),
          golden.expected.at("final_loss").item<double>());
  return worst;
}

double Bf16Error(const at::Tensor& bf16, const at::Tensor& fp32) {
  return ((bf16 - fp32).square().mean().sqrt() / fp32.std()).item<double>();
}

double Bf16ErrorOfReference(const GoldenCase& golden) {
  return golden.expected.at("bf16_error").item<double>();
}

}  // namespace graft::worker::engine::testing
