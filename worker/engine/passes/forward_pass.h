#pragma once
/// One pass without gradients, from sequences and their owners to outputs: what evaluation, proofs
/// and serving share.

#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/batch.h"
#include "worker/engine/model/model.h"

namespace graft::worker::engine {

/// What a pass gave. Thread safety: confined to the engine's thread.
struct ForwardPass {
  PackedBatch batch;
  at::Tensor hidden_RD;  ///< Of the batch's wanted rows.

  /// Runs one over `base`. `owners[s]` owns sequence s, null: the plain base; equal owners are
  /// neighbours, and one that overrides base tensors is alone. `cache`: see Pack.
  static ForwardPass Run(const Model& model, const Base& base,
                         const std::vector<Sequence>& sequences,
                         const std::vector<const Adapter*>& owners, const Yield& yield,
                         KvCache* cache = nullptr);

  /// The hidden states of one owner's wanted rows. Shapes: [rows, D].
  at::Tensor HiddenOf(const Segment& segment) const {
    return PackedBatch::RowsOf(segment, batch.wanted, hidden_RD);
  }
};

}  // namespace graft::worker::engine
