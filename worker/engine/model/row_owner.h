#pragma once
/// What an adapter may change of the base's forward pass, for the rows that it owns: the port
/// between families, which call sites, and methods, which know nothing of families.

#include <functional>
#include <string>
#include <vector>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/bottlenecks.h"
#include "worker/engine/kernels/low_rank.h"
#include "worker/engine/kernels/rows.h"
#include "worker/engine/model/weight.h"

namespace graft::worker::engine {

class WeightSet;

/// One base GEMM, y = x W^T + b, and the HF linear layers whose outputs are its column slices (q, k
/// and v are one GEMM, three slices).
struct LinearSite {
  struct Slice {
    size_t linear = 0;           ///< Index into Layout::linears.
    int64_t begin = 0, end = 0;  ///< Output columns.
  };
  std::vector<Slice> slices;
  Weight weight, bias;  ///< The bias has no name where there is none.
};

/// Which rows an owner is given, for randomness that depends on no order.
struct RowContext {
  bool training = false;
  uint64_t seed = 0;
  int64_t step = 0;
  const RowSet* rows = nullptr;  ///< Of the batch; the owner's are those of its sequences.
  const std::vector<uint64_t>* examples = nullptr;  ///< [S] of the batch.
  int64_t sequence_begin = 0, sequence_end = 0;

  /// What kernels/dropout.h is given: masks depend on (seed, step, site, example, position) only.
  uint64_t DropoutSeed(uint64_t site) const;
  std::vector<uint64_t> DropoutStreams() const;
};

/// A linear layer's product, for one owner's t rows. Shapes: x [t, in].
struct LinearCall {
  const LinearSite& site;
  const at::Tensor& x;
  const WeightSet& weights;  ///< Where the site's operands are read from.
  const RowContext& rows;
};

using Norm = std::function<at::Tensor(const at::Tensor&)>;

/// The end of a residual sublayer, norm(x_in + d), for one owner's t rows. Shapes: [t, D], of one
/// type: that of products, or fp32 where the residual is in it.
struct SublayerCall {
  size_t sublayer;         ///< Index into Layout::sublayers.
  const at::Tensor& x_in;  ///< What the residual carries past the sublayer.
  const at::Tensor& d;     ///< Output of its last projection.
  const Norm& norm;        ///< Behind the sum; of a family that norms in front, the identity.
  at::ScalarType compute;  ///< What products take.
  const RowContext& rows;
};

/// Thread safety: confined to the engine's thread.
class RowOwner {
 public:
  virtual ~RowOwner() = default;

  /// True if ApplyLinear does anything at one of the site's slices.
  virtual bool WrapsLinear(const LinearSite&) const { return false; }
  /// Returns the site's output for rows whose base output is y; may change y in place.
  virtual at::Tensor ApplyLinear(const LinearCall&, at::Tensor y) const { return y; }
  /// What an owner that serves adds to the outputs of a layer (an index into Layout::linears), if
  /// that is a product of two narrow matrices and all that it does there: passes without a gradient
  /// add all owners' changes at once, and don't call ApplyLinear. Null: nothing, or another thing.
  virtual const LowRank* LowRankOf(size_t /*linear*/) const { return nullptr; }
  /// True if ApplySublayer replaces norm(x_in + d) at this index of Layout::sublayers.
  virtual bool WrapsSublayer(size_t) const { return false; }
  virtual at::Tensor ApplySublayer(const SublayerCall& call) const {
    return call.norm(call.x_in + call.d);
  }
  /// What an owner that serves makes of a sublayer's end, if that is a two-layer network's and all
  /// that it does there: passes without a gradient compute all owners' at once, and don't call
  /// ApplySublayer. Null: nothing, or another thing.
  virtual const Bottleneck* BottleneckOf(size_t /*sublayer*/) const { return nullptr; }
  /// True if it replaces base tensors: such an owner has passes of its own.
  virtual bool overrides_base() const { return false; }
  /// What it replaces the base tensor by, in fp32; null if it doesn't.
  virtual const at::Tensor* Override(const std::string& /*name*/) const { return nullptr; }
};

}  // namespace graft::worker::engine
