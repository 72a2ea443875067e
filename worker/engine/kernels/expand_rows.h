#pragma once
/// Rows that stand at several places of a packed batch, and are computed once.

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// The row that belongs to each place; differentiable. A row's gradient is the sum over its places,
/// in their order, in fp32 and rounded once.
/// Shapes: x [R, C], bf16 or fp32; rows_P int64, each of them below R; returns [P, C].
at::Tensor ExpandRows(const at::Tensor& x, const at::Tensor& rows_P);

}  // namespace graft::worker::engine
