#pragma once
/// AdamW over an adapter's flat buffer. Source: arXiv:1711.05101; torch.optim.AdamW's order of
/// operations.

#include "common/spec/job_spec.h"
#include "worker/engine/adapters/parameters.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread. Borrows the parameters.
class AdamW {
 public:
  AdamW(ParameterSet& parameters, const spec::Hyperparameters& hyperparameters);

  /// L2 norm of the accumulated gradient.
  double GradNorm() const;
  /// Clips to max_grad_norm as torch's clip_grad_norm_ does (factor min(1, max / (norm + 1e-6));
  /// none if max is 0), takes one step at learning rate `lr`, and zeroes the gradient. Requires:
  /// grad_norm is finite; gradients are of the mean loss.
  void Step(double lr, double grad_norm);
  void ZeroGrad();

  at::Tensor exp_avg_P() const { return exp_avg_P_; }
  at::Tensor exp_avg_sq_P() const { return exp_avg_sq_P_; }
  int64_t step() const { return step_; }
  void set_step(int64_t step) { step_ = step; }

 private:
  ParameterSet& parameters_;
  double beta1_, beta2_, epsilon_, weight_decay_, max_grad_norm_;
  at::Tensor exp_avg_P_, exp_avg_sq_P_;
  int64_t step_ = 0;
};

}  // namespace graft::worker::engine
