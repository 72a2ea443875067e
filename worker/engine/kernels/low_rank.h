#pragma once
/// What many adapters change of one product, all in one go: for the passes that serve.

#include <cstdint>
#include <span>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// An adapter's two matrices for a linear layer, as serving reads them: on the base's device, in
/// its compute type. Rows are contiguous.
struct LowRank {
  at::Tensor a_RD, b_RF;  ///< b is transposed: the rank's rows lie along the outputs.
  double scaling = 1;
};

/// Rows of a batch, and columns of a product's, that one adapter changes.
struct LowRankGroup {
  int64_t row_begin = 0, row_end = 0;
  int64_t column_begin = 0, column_end = 0;
  const LowRank* change = nullptr;
};

/// y[rows, columns] += scaling (x[rows] A^T) B of each group. On the CPU with sums in fp32, rounded
/// once where they meet y; a row's results depend on that row alone. No group's numbers reach
/// another's rows. Not differentiable.
/// Shapes: x [T, D], y [T, at least F]. Requires: x and the changes in one type, y in that or fp32;
/// no two groups meet in y; ranks and widths are the matrices'.
void AddLowRank(const at::Tensor& y, const at::Tensor& x, std::span<const LowRankGroup> groups);

/// The same by libtorch's products, on any device: groups of one shape that lie one behind the
/// other as one batched product, the rest one at a time.
void AddLowRankByProducts(const at::Tensor& y, const at::Tensor& x,
                          std::span<const LowRankGroup> groups);

}  // namespace graft::worker::engine
