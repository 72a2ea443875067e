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
    const RowSet& rows = RowsOfLayer(layer, model_, pass_.batch());
    if (layer < lowest_) {
      const at::NoGradGuard no_grad;
      hidden = model_.Layer(layer, hidden, pass_, rows);
      continue;
    }
    const at::AutoGradMode with_grad(true);
    // The lowest trained layer's input needs no gradient: nothing below it is trained.
    at::Tensor in = hidden.detach();
    in.requires_grad_(layer > lowest_);
    at::Tensor out = model_.Layer(layer, in, pass_, rows);
    tape_.push_back({in, out});
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
    step.out.backward(grad);
    grad = step.in.defined() ? step.in.grad() : at::Tensor();
  }
}

}  // namespace graft::worker::engine
