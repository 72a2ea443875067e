/// AdamW against a plain implementation in double precision, in torch.optim.AdamW's order of
/// operations.

#include "worker/engine/training/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/engine/adapters/initialise.h"

namespace graft::worker::engine {
namespace {

spec::Hyperparameters Hyper() {
  spec::Hyperparameters hp;
  hp.weight_decay = 0.1;
  hp.adam_beta1 = 0.8;
  hp.adam_beta2 = 0.95;
  hp.adam_epsilon = 1e-6;
  hp.max_grad_norm = 0;
  return hp;
}

/// Two tensors with decay (one of a size that leaves a gap), one without, one that is never
/// trained.
class AdamWTest : public ::testing::Test {
 protected:
  static methods::TensorSpec Spec(const char* name, std::vector<int64_t> shape, bool decay = true,
                                  bool trained = true) {
    methods::TensorSpec spec;
    spec.name = name;
    spec.shape = std::move(shape);
    spec.decay = decay;
    spec.trained = trained;
    return spec;
  }
  AdamWTest()
      : parameters_(
            {Spec("bias", {7}, /*decay=*/false), Spec("frozen", {4}, true, /*trained=*/false),
             Spec("v", {16}), Spec("w", {3, 5})},
            at::kCPU) {
    for (const auto& spec : parameters_.specs())
      FillNormal(parameters_.Get(spec.name), 1, 0, 1, spec.name.front());
    parameters_.EnableGrad();
  }

  /// Sets every gradient to N(0, std) drawn for `step`; the gaps stay zero.
  void DrawGrads(double std, uint64_t step) {
    for (const auto& spec : parameters_.specs()) {
      if (spec.trained)
        FillNormal(parameters_.Get(spec.name).grad(), std, 0, 2, 1000 * step + spec.name.front());
    }
  }

  static std::vector<double> Values(const at::Tensor& tensor) {
    const at::Tensor flat = tensor.detach().contiguous().view({-1});
    return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
  }

  ParameterSet parameters_;
};

struct PlainAdamW {
  spec::Hyperparameters hp;
  std::vector<double> p, m = std::vector<double>(p.size()), v = std::vector<double>(p.size());
  int step = 0;

  void Step(const std::vector<double>& grad, double lr, double weight_decay) {
    ++step;
    for (size_t i = 0; i < p.size(); ++i) {
      p[i] -= lr * weight_decay * p[i];
      m[i] += (1 - hp.adam_beta1) * (grad[i] - m[i]);
      v[i] = hp.adam_beta2 * v[i] + (1 - hp.adam_beta2) * grad[i] * grad[i];
      const double m_hat = m[i] / (1 - std::pow(hp.adam_beta1, step));
      const double v_hat = v[i] / (1 - std::pow(hp.adam_beta2, step));
      p[i] -= lr * m_hat / (std::sqrt(v_hat) + hp.adam_epsilon);
    }
  }
};

TEST_F(AdamWTest, EqualsThePlainOneOverManyStepsWithDecayWhereTheSpecSays) {
  AdamW optimizer(parameters_, Hyper());
  std::map<std::string, PlainAdamW> plain;
  for (const auto& spec : parameters_.specs())
    plain[spec.name] = {Hyper(), Values(parameters_.Get(spec.name))};
  for (auto& [name, one] : plain) one.m = one.v = std::vector<double>(one.p.size());

  for (uint64_t step = 0; step < 30; ++step) {
    const double lr = 0.05 / static_cast<double>(1 + step);
    DrawGrads(0.3, step);
    for (const auto& spec : parameters_.specs()) {
      if (!spec.trained) continue;
      plain[spec.name].Step(Values(parameters_.Get(spec.name).grad()), lr, spec.decay ? 0.1 : 0.0);
    }
    optimizer.Step(lr, optimizer.GradNorm());
  }

  for (const auto& spec : parameters_.specs()) {
    const std::vector<double> actual = Values(parameters_.Get(spec.name));
    for (size_t i = 0; i < actual.size(); ++i) {
      EXPECT_NEAR(actual[i], plain[spec.name].p[i], 2e-6) << spec.name << "[" << i << "]";
    }
  }
  EXPECT_EQ(optimizer.step(), 30);
}

TEST_F(AdamWTest, UntrainedTensorsAndGapsStay) {
  const std::vector<double> before = Values(parameters_.Get("frozen"));
  AdamW optimizer(parameters_, Hyper());
  double named = 0;

  DrawGrads(1, 1);
  optimizer.Step(0.1, optimizer.GradNorm());

  EXPECT_EQ(Values(parameters_.Get("frozen")), before);
  for (const auto& spec : parameters_.specs()) {
    for (const double value : Values(parameters_.Get(spec.name))) named += std::abs(value);
  }
  EXPECT_NEAR(parameters_.flat_P().abs().sum().item<double>(), named, 1e-4)
      << "a gap isn't zero any more";
}

TEST_F(AdamWTest, GradNormIsOverAllTrainedTensors) {
  AdamW optimizer(parameters_, Hyper());
  DrawGrads(1, 1);
  double sum = 0;
  for (const char* name : {"bias", "v", "w"}) {
    for (const double g : Values(parameters_.Get(name).grad())) sum += g * g;
  }

  EXPECT_NEAR(optimizer.GradNorm(), std::sqrt(sum), 1e-5);
}

TEST_F(AdamWTest, AStepZeroesTheGradient) {
  AdamW optimizer(parameters_, Hyper());
  DrawGrads(1, 1);

  optimizer.Step(0.1, optimizer.GradNorm());

  EXPECT_EQ(optimizer.GradNorm(), 0);
}

TEST_F(AdamWTest, ALargeGradientIsClippedAsTorchDoes) {
  spec::Hyperparameters hp = Hyper();
  hp.max_grad_norm = 0.5;
  AdamW optimizer(parameters_, hp);
  DrawGrads(10, 1);
  const at::Tensor grad = parameters_.grad_P().clone();
  const double norm = optimizer.GradNorm();
  ASSERT_GT(norm, 10);

  optimizer.Step(0.1, norm);

  // After one step the first moment is (1 - beta1) times the clipped gradient.
  const at::Tensor expected = 0.2 * grad * (0.5 / (norm + 1e-6));
  EXPECT_LT((optimizer.exp_avg_P() - expected).abs().max().item<double>(), 1e-7);
}

TEST_F(AdamWTest, ASmallGradientIsLeftAsItIs) {
  spec::Hyperparameters hp = Hyper();
  hp.max_grad_norm = 1e3;
  AdamW clipped(parameters_, hp);
  DrawGrads(1, 1);
  const at::Tensor grad = parameters_.grad_P().clone();

  clipped.Step(0.1, clipped.GradNorm());

  EXPECT_LT((clipped.exp_avg_P() - 0.2 * grad).abs().max().item<double>(), 1e-6);
}

TEST_F(AdamWTest, ASetStepContinuesTheBiasCorrection) {
  AdamW whole(parameters_, Hyper());
  for (uint64_t step = 0; step < 4; ++step) {
    DrawGrads(1, step);
    whole.Step(0.1, 1);
  }
  const at::Tensor at_four = parameters_.flat_P().clone();
  AdamW resumed(parameters_, Hyper());
  resumed.exp_avg_P().copy_(whole.exp_avg_P());
  resumed.exp_avg_sq_P().copy_(whole.exp_avg_sq_P());
  resumed.set_step(4);
  DrawGrads(1, 9);
  whole.Step(0.1, 1);
  const at::Tensor expected = parameters_.flat_P().clone();
  parameters_.flat_P().copy_(at_four);

  DrawGrads(1, 9);
  resumed.Step(0.1, 1);

  EXPECT_TRUE(parameters_.flat_P().equal(expected));
}

}  // namespace
}  // namespace graft::worker::engine
