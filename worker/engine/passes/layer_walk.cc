#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {

at::Tensor Forward(const Model& model, const Pass& pass, bool pooled, const Yield& yield) {
  const at::NoGradGuard no_grad;
  at::Tensor hidden = model.Embed(pass);
  for (int64_t layer = 0; layer < model.num_layers(); ++layer) {
    yield();
    hidden = model.Layer(layer, hidden, pass, pooled && layer + 1 == model.num_layers());
  }
  return hidden;
}

at::Tensor LayerWalk::Forward() {
  tape_.clear();
  at::Tensor hidden;
  if (lowest_ < 0) {
    const at::AutoGradMode with_grad(true);
    at::Tensor out = model_.Embed(pass_);
    tape_.push_back({{}, out});
    hidden = out.detach();
  } else {
    const at::NoGradGuard no_grad;
    hidden = model_.Embed(pass_);
  }
  for (int64_t layer = 0; layer < model_.num_layers(); ++layer) {
    yield_();
    const bool pooled = layer + 1 == model_.num_layers();
    if (layer < lowest_) {
      const at::NoGradGuard no_grad;
      hidden = model_.Layer(layer, hidden, pass_, pooled);
      continue;
    }
    const at::AutoGradMode with_grad(true);
    // The lowest trained layer's input needs no gradient: nothing below it is trained.
    at::Tensor in = hidden.detach();
    in.requires_grad_(layer > lowest_);
    at::Tensor out = model_.Layer(layer, in, pass_, pooled);
    tape_.push_back({in, out});
    hidden = out.detach();
  }
  pooled_ = hidden;
  if (!tape_.empty()) pooled_.requires_grad_(true);
  return pooled_;
}

void LayerWalk::Backward() {
  at::Tensor grad = tape_.empty() ? at::Tensor() : pooled_.grad();
  pooled_ = at::Tensor();
  while (!tape_.empty()) {
    yield_();
    Step step = std::move(tape_.back());
    tape_.pop_back();
    step.out.backward(grad);
    grad = step.in.defined() ? step.in.grad() : at::Tensor();
  }
}

}  // namespace graft::worker::engine
