#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {
namespace {

/// Nobody reads other rows of the last layer than the wanted ones.
const RowSet& RowsOfLayer(int64_t layer, const Model& model, const PackedBatch& batch) {
  return layer + 1 == model.num_layers() ? batch.wanted : batch.tokens;
}

}  // namespace

at::Tensor Forward(const Model& model, const Pass& pass, const Yield& yield) {
  const at::NoGradGuard no_grad;
  at::Tensor hidden = model.Embed(pass);
  for (int64_t layer = 0; layer < model.num_layers(); ++layer) {
    yield();
    hidden = model.Layer(layer, hidden, pass, RowsOfLayer(layer, model, pass.batch()));
  }
  return hidden;
}

at::Tensor LayerWalk::Layer(int64_t layer, const at::Tensor& in) const {
  return model_.Layer(layer, in, pass_, RowsOfLayer(layer, model_, pass_.batch()));
}

at::Tensor LayerWalk::Forward() {
  tape_.clear();
  at::Tensor hidden;
  if (lowest_ < 0) {
    const at::AutoGradMode with_grad(true);
    at::Tensor out = model_.Embed(pass_);
    tape_.push_back({-1, {}, out});
    hidden = out.detach();
  } else {
    const at::NoGradGuard no_grad;
    hidden = model_.Embed(pass_);
  }
  for (int64_t layer = 0; layer < model_.num_layers(); ++layer) {
    yield_();
    const bool is_trained = layer >= lowest_;
    const bool keeps_graph = is_trained && keeps_ == Tape::kWhole;
    // Also where the graph isn't kept: kernels that take no gradient sum in another order.
    const at::AutoGradMode mode(is_trained);
    // The lowest trained layer's input needs no gradient: nothing below it is trained.
    const at::Tensor in = hidden.detach().requires_grad_(layer > lowest_);
    const at::Tensor out = Layer(layer, in);
    if (is_trained) tape_.push_back({layer, in, keeps_graph ? out : at::Tensor()});
    hidden = out.detach();
  }
  last_RD_ = hidden;
  if (!tape_.empty()) last_RD_.requires_grad_(true);
  return last_RD_;
}

void LayerWalk::Backward() {
  at::Tensor grad = tape_.empty() ? at::Tensor() : last_RD_.grad();
  last_RD_ = at::Tensor();
  while (!tape_.empty()) {
    yield_();
    Step step = std::move(tape_.back());
    tape_.pop_back();
    if (!step.out.defined()) {
      const at::AutoGradMode with_grad(true);
      step.out = Layer(step.layer, step.in);
    }
    step.out.backward(grad);
    grad = step.in.defined() ? step.in.grad() : at::Tensor();
  }
}

}  // namespace graft::worker::engine
