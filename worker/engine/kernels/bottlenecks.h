#pragma once
/// What many bottleneck adapters make of one sublayer's end, all in one go: for the passes that
/// serve.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// The tensors that meet at the end of a sublayer, by place in SublayerEnd.
enum EndTensor : size_t {
  kEndInput,   ///< What the residual carries past the sublayer.
  kEndOutput,  ///< What its last projection gave.
  kEndNormed,  ///< The norm of both's sum; undefined until it is computed.
};
/// Shapes: [T, D] each, columns contiguous.
using SublayerEnd = std::array<at::Tensor, 3>;

/// An adapter's two-layer network at a sublayer, as serving reads it: on the base's device, in its
/// compute type, with the adapter's scaling in the upper layer. Rows are contiguous.
struct Bottleneck {
  at::Tensor down_ZD, down_bias_Z, up_DZ, up_bias_D;
  std::string_view activation;     ///< See Activate. Borrowed from the adapter's spec.
  EndTensor reads = kEndOutput;    ///< The network's input.
  std::array<float, 3> adds = {};  ///< How often each of the three is added to what it gives.
  bool norm_after = true;          ///< The sum is normed.

  /// True if it can only be computed behind the norm of the plain sum.
  bool waits_for_norm() const { return reads == kEndNormed || adds[kEndNormed] != 0; }
};

/// Rows of a batch that one adapter changes.
struct BottleneckGroup {
  int64_t row_begin = 0, row_end = 0;
  const Bottleneck* change = nullptr;
};

/// y[rows] = up(act(down(end[reads]))) + sum of adds[i] end[i], of each group; other rows stay. On
/// the CPU with sums in fp32 and the network's middle rounded to the type; a row's results depend
/// on that row alone. No group's numbers reach another's rows. Not differentiable. Shapes: y [T,
/// D], which may be one of the end's. Requires: the networks in one type, y and the end in one
/// type: the networks' or fp32; what the groups use of the end is defined; no two groups meet.
void ApplyBottlenecks(const at::Tensor& y, const SublayerEnd& end,
                      std::span<const BottleneckGroup> groups);

/// The same by libtorch's products, on any device: groups of one shape and form that lie one behind
/// the other as one batched product.
void ApplyBottlenecksByProducts(const at::Tensor& y, const SublayerEnd& end,
                                std::span<const BottleneckGroup> groups);

}  // namespace graft::worker::engine
