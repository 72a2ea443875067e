#pragma once
/// Walks a model's layers forward and backward, one at a time, so that the engine can serve waiting
/// requests in between. Each trained layer's graph is its own: forward keeps it, backward consumes
/// it. Below the lowest trained layer forward keeps nothing and backward doesn't go.

#include <vector>

#include "worker/engine/loop/client.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

/// Forward without gradients. Shapes: returns [R, D], the batch's wanted rows.
at::Tensor Forward(const Model& model, const Pass& pass, const Yield& yield);

/// One training pass: forward to the wanted rows' hidden states, then backward from their gradient.
/// Thread safety: confined to the engine's thread.
class LayerWalk {
 public:
  /// `lowest` is Adapter::lowest_trained_layer: -1 embeddings, num_layers only the head. Borrows
  /// all.
  LayerWalk(const Model& model, const Pass& pass, int lowest, const Yield& yield)
      : model_(model), pass_(pass), lowest_(lowest), yield_(yield) {}

  /// Shapes: returns [R, D], the batch's wanted rows: a leaf that requires a gradient unless only
  /// the head is trained.
  at::Tensor Forward();
  /// Requires: the leaf's grad is set (or nothing below the head is trained).
  void Backward();

 private:
  struct Step {
    at::Tensor in, out;  ///< `in` is undefined for the embeddings.
  };

  const Model& model_;
  const Pass& pass_;
  const int64_t lowest_;
  const Yield& yield_;
  std::vector<Step> tape_;
  at::Tensor last_RD_;
};

}  // namespace graft::worker::engine
