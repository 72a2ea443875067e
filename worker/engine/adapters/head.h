#pragma once
/// The classification head: wanted rows through the head linears of the adapter's method, in fp32.

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

}  // namespace graft::worker::engine
