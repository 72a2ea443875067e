#pragma once
/// The classification head: pooled rows through the head linears of the adapter's method, in
/// fp32.

#include <string>
#include <vector>

#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

/// The pooled hidden states' logits; differentiable. Head tensors come from the adapter, else from
/// the base. `rows` describes the pooled rows in training, for dropout; null elsewhere.
/// Shapes: pooled [S, D] any type; returns [S, C] fp32.
at::Tensor HeadLogits(const at::Tensor& pooled_SD, const WeightSet& weights, const Adapter& adapter,
                      const RowContext* rows = nullptr);

}  // namespace graft::worker::engine
