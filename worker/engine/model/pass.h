#pragma once
/// One forward pass over the frozen base: the base's GEMMs run once over all rows, then each
/// owner's rows get their own adapter's change. Families call these where a site is; they know
/// nothing of methods.

#include <list>

#include "common/families/layout.h"
#include "worker/engine/kernels/attention.h"
#include "worker/engine/kernels/rope.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread. Borrows batch and weights. `rows` is the batch's
/// tokens or its wanted rows.
class Pass {
 public:
  Pass(const PackedBatch& batch, const WeightSet& weights) : batch_(batch), weights_(weights) {}

  /// The first hidden state's part from the tokens: their rows of `table`.
  at::Tensor Embed(const Weight& table) const;
  /// The site's GEMM over `rows`, then each owner's change at the site's slices.
  at::Tensor Linear(const LinearSite& site, const at::Tensor& x, const RowSet& rows) const {
    return Linear(site, x, rows, x.scalar_type());
  }
  /// The same in `type`: x's or fp32. See engine::Linear.
  at::Tensor Linear(const LinearSite& site, const at::Tensor& x, const RowSet& rows,
                    at::ScalarType type) const;
  /// norm(x_in + d), or what a row's owner makes of it. `sublayer` indexes Layout::sublayers.
  at::Tensor Sublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                      const Norm& norm, const RowSet& rows) const;
  /// Attention of one layer over all tokens, and what a cache holds in front of them. Shapes: see
  /// engine::Attend.
  at::Tensor Attend(int64_t layer, const at::Tensor& qkv, const AttentionShape& shape) const;
  /// The same for the wanted rows' queries. Shapes: see engine::Attend.
  at::Tensor AttendWanted(int64_t layer, const at::Tensor& q, const at::Tensor& kv,
                          const AttentionShape& shape) const;

  /// What turns `rows` at their positions; computed once a pass.
  const Rotation& RotationOf(const families::Rope& rope, const RowSet& rows) const;

  const PackedBatch& batch() const { return batch_; }
  const WeightSet& weights() const { return weights_; }

 private:
  /// Adds what serving owners change of a product by narrow matrices. Returns true if owners are
  /// left that change it in another way.
  bool AddLowRanks(const LinearSite& site, const at::Tensor& x, const RowSet& rows,
                   const at::Tensor& y) const;
  /// What an owner makes of its rows of a sublayer's end, in one go of its own.
  at::Tensor ApplySublayer(const Segment& segment, size_t sublayer, const at::Tensor& x_in,
                           const at::Tensor& d, const Norm& norm, const RowSet& rows) const;
  /// Sublayer of a pass that serves: what owners' networks make of it, all at once.
  at::Tensor ServeSublayer(size_t sublayer, const at::Tensor& x_in, const at::Tensor& d,
                           const Norm& norm, const RowSet& rows) const;
  /// Keeps the tokens' keys and values, and attends to all. Requires: the batch has a cache.
  at::Tensor AttendCached(int64_t layer, const at::Tensor& q, const at::Tensor& kv,
                          const RowSet& rows, const AttentionShape& shape) const;

  /// Attends where rows belong to several sequences: each to all of its own.
  at::Tensor AttendShared(const at::Tensor& q, const at::Tensor& kv, const RowSet& rows,
                          const AttentionShape& shape) const;

  struct OfRows {
    const families::Rope* rope;
    const RowSet* rows;
    Rotation rotation;
  };

  const PackedBatch& batch_;
  const WeightSet& weights_;
  mutable std::list<OfRows> rotations_;
};

}  // namespace graft::worker::engine
