#pragma once
/// One forward pass over the frozen base: the base's GEMMs run once over all rows, then each
/// owner's rows get their own adapter's change. Families call these where a site is; they know
/// nothing of methods.

#include <functional>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread. Borrows batch and weights.
class Pass {
 public:
  struct Options {
    bool training = false;  ///< Dropout is on, where a spec asks for it.
    uint64_t seed = 0;
    int64_t step = 0;
  };
  Pass(const PackedBatch& batch, const WeightSet& weights, Options options)
      : batch_(batch), weights_(weights), options_(options) {}

  /// Which rows a tensor's first dimension counts: all tokens, or one row a sequence.
  enum class Rows { kTokens, kPooled };

  /// The site's GEMM over all rows, then each owner's adapter at the site's slices.
  at::Tensor Linear(const LinearSite& site, const at::Tensor& x, Rows rows) const;
  /// LN(x_in + d), or what an owner's adapter makes of it. `sublayer` indexes Layout::sublayers.
  at::Tensor Sublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                      const Adapter::Norm& norm, Rows rows) const;

  const PackedBatch& batch() const { return batch_; }
  const WeightSet& weights() const { return weights_; }

 private:
  RowContext Context(const Segment& segment, Rows rows) const;

  const PackedBatch& batch_;
  const WeightSet& weights_;
  Options options_;
};

}  // namespace graft::worker::engine
