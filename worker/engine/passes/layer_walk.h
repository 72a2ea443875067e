#pragma once
/// Walks a model's layers forward and backward, one at a time, so that the engine can serve waiting
/// requests in between. Each trained layer's graph is its own: forward keeps it, or backward makes
/// it again, and backward consumes it. Below the lowest trained layer forward keeps nothing and
/// backward doesn't go.

#include <vector>

#include "worker/engine/loop/client.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

/// Forward without gradients. Shapes: returns [R, D], the batch's wanted rows.
at::Tensor Forward(const Model& model, const Pass& pass, const Yield& yield);

/// What forward keeps of a trained layer. Gradients are the same bit for bit.
enum class Tape {
  kWhole,   ///< All that backward needs.
  kInputs,  ///< Its input alone; backward computes the layer again. A third more work.
};

/// One training pass: forward to the wanted rows' hidden states, then backward from their gradient.
/// Thread safety: confined to the engine's thread.
class LayerWalk {
 public:
  /// `lowest` is Adapter::lowest_trained_layer: -1 embeddings, num_layers only the head. Borrows
  /// all.
  LayerWalk(const Model& model, const Pass& pass, int lowest, Tape tape, const Yield& yield)
      : model_(model), pass_(pass), lowest_(lowest), keeps_(tape), yield_(yield) {}

  /// Shapes: returns [R, D], the batch's wanted rows: a leaf that requires a gradient unless only
  /// the head is trained.
  at::Tensor Forward();
  /// Requires: the leaf's grad is set (or nothing below the head is trained).
  void Backward();

 private:
  struct Step {
    int64_t layer = -1;  ///< -1: the embeddings, which have no `in`.
    at::Tensor in;       ///< A leaf.
    at::Tensor out;      ///< With its graph; undefined if that is to be made again.
  };

  at::Tensor Layer(int64_t layer, const at::Tensor& in) const;

  const Model& model_;
  const Pass& pass_;
  const int64_t lowest_;
  const Tape keeps_;
  const Yield& yield_;
  std::vector<Step> tape_;
  at::Tensor last_RD_;
};

}  // namespace graft::worker::engine
