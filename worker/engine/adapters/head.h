#pragma once
/// A model's head: wanted rows to logits. A classifier's layers run in fp32; the layer to a
/// vocabulary in the compute type, its results widened.

#include <string>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

/// The logits of rows of one owner; differentiable. Head tensors come from the adapter, else from
/// the base. `rows` describes them in training, for dropout; null elsewhere.
/// Shapes: hidden [R, D] any type; returns [R, C] fp32.
at::Tensor HeadLogits(const at::Tensor& hidden_RD, const WeightSet& weights, const Adapter& adapter,
                      const RowContext* rows = nullptr);

/// The plain base's logits over its vocabulary. Requires: it has a language head. Shapes: as above.
at::Tensor BaseLogits(const at::Tensor& hidden_RD, const WeightSet& weights);

}  // namespace graft::worker::engine
