#include "worker/engine/training/optimizer.h"

#include <algorithm>

namespace graft::worker::engine {

AdamW::AdamW(ParameterSet& parameters, const spec::Hyperparameters& hp)
    : parameters_(parameters),
      beta1_(hp.adam_beta1),
      beta2_(hp.adam_beta2),
      epsilon_(hp.adam_epsilon),
      weight_decay_(hp.weight_decay),
      max_grad_norm_(hp.max_grad_norm),
      exp_avg_P_(at::zeros_like(parameters.grad_P())),
      exp_avg_sq_P_(at::zeros_like(parameters.grad_P())) {}

double AdamW::GradNorm() const {
  return at::linalg_vector_norm(parameters_.grad_P()).item<double>();
}

void AdamW::Step(double lr, double grad_norm) {
  const at::NoGradGuard no_grad;
  const at::Tensor grad = parameters_.grad_P();
  if (max_grad_norm_ > 0) {
    const double factor = std::min(1.0, max_grad_norm_ / (grad_norm + 1e-6));
    if (factor < 1.0) grad.mul_(factor);
  }
  ++step_;
  const at::Tensor steps = at::empty({}, grad.options()).fill_(static_cast<double>(step_));
  const at::Tensor all = parameters_.trained_P();
  const auto update = [&](int64_t begin, int64_t end, double weight_decay) {
    if (begin == end) return;
    const auto slice = [&](const at::Tensor& t) {
      return std::vector<at::Tensor>{t.narrow(0, begin, end - begin)};
    };
    at::_fused_adamw_(slice(all), slice(grad), slice(exp_avg_P_), slice(exp_avg_sq_P_), {}, {steps},
                      lr, beta1_, beta2_, weight_decay, epsilon_, /*amsgrad=*/false,
                      /*maximize=*/false);
  };
  update(0, parameters_.num_decayed(), weight_decay_);
  update(parameters_.num_decayed(), parameters_.num_trained(), 0.0);
  grad.zero_();
}

void AdamW::ZeroGrad() { parameters_.grad_P().zero_(); }

}  // namespace graft::worker::engine
