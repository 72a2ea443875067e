#pragma once
/// x W^T by kernels of graft's own, for the passes that serve: each row's results are sums in an
/// order that depends on the inner size and on the processor alone, so a row has the same bits
/// whichever and however many rows are beside it.
///
/// Weights are read once, as they lie, in step with their use: a pass over few rows takes as long
/// as memory takes to deliver them. Thread safety: pure functions.

#include <optional>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine::cpu {

/// Whether RowProducts is the fastest here. A fixed table of processor and rows, for both types:
///   AMD with AVX512-BF16   up to 320 rows: all that a step of generation has
///   other x86 with AVX2    up to 32 rows
/// Else, and for tensors whose rows aren't contiguous, it is not.
bool TakesRowProducts(const at::Tensor& x, const at::Tensor& weight);

/// x W^T + b. Products of bf16 numbers are exact, sums are in fp32; each result is rounded once, to
/// `out`. Not differentiable.
/// Shapes: x [T, D], weight [F, D], bias [F] or undefined; returns [T, F].
/// Requires: TakesRowProducts; bias in the operands' type, contiguous; `out` theirs or fp32.
at::Tensor RowProducts(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       at::ScalarType out);

/// One product over plain memory, for kernels that have products inside. Strides in elements.
struct RowProblem {
  const void *x = nullptr, *w = nullptr, *bias = nullptr;  ///< bias: null for none.
  void* y = nullptr;
  int64_t x_stride = 0, w_stride = 0, y_stride = 0;
  int64_t rows = 0, depth = 0;
};
/// Computes the columns [begin, end) of all rows, on the calling thread.
using ColumnsFunction = void (*)(const RowProblem&, int64_t begin, int64_t end);
/// That of these types; null if this processor has none.
ColumnsFunction RowColumns(at::ScalarType operands, at::ScalarType out);

}  // namespace graft::worker::engine::cpu
