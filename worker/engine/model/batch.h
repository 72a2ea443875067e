#pragma once
/// A packed batch: the tokens of all sequences end to end, no padding, each sequence owned by one
/// adapter.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/attention_cached.h"
#include "worker/engine/kernels/rows.h"
#include "worker/engine/model/kv_cache.h"
#include "worker/engine/model/row_owner.h"

namespace graft::worker::engine {

/// One sequence of token ids on the host; what it points to is borrowed for the call that is given
/// it.
struct Sequence {
  const int32_t* ids = nullptr;
  const int32_t* type_ids = nullptr;  ///< The same length, or null for all 0.
  int64_t length = 0;
  uint64_t example = 0;  ///< Its number in the data: what counter-based dropout is keyed by.
  /// Which of these tokens' outputs are read, rising; empty: all. The last layer computes no
  /// others.
  std::span<const int32_t> wanted = {};
  /// Of a sequence whose earlier tokens are in a cache: how many, and its blocks there, with room
  /// for these. Else 0 and none.
  int64_t past = 0;
  std::span<const int32_t> blocks = {};
};

/// Who owns a sequence's rows, and what the pass is to it.
struct Owner {
  const RowOwner* adapter = nullptr;  ///< Null: the plain base.
  bool training = false;              ///< Dropout is on, where its spec asks for it.
  uint64_t seed = 0;                  ///< Of dropout, with the optimizer step.
  int64_t step = 0;

  friend bool operator==(const Owner&, const Owner&) = default;
};

/// Sequences that belong to one owner; owners lie one behind the other and cover the batch.
struct Segment {
  Owner owner;
  int64_t sequence_begin = 0, sequence_end = 0;
};

/// The batch's part of a cache.
struct CachedBatch {
  KvCache* cache = nullptr;
  CachedKeys of;
};

/// Of a batch whose sequences have rows in common: where each belongs. P places, which are the
/// sequences whole; R rows.
struct SharedRows {
  at::Tensor rows_P;      ///< int64: the row at each place.
  RowSet places;          ///< What attention's keys are.
  RowSet tokens, wanted;  ///< The batch's, their `index_R` counting places.
};

/// Thread safety: a value, const after Pack.
struct PackedBatch {
  at::Tensor token_ids_T;          ///< int64
  at::Tensor type_ids_T;           ///< int64
  at::Tensor position_ids_T;       ///< int64
  RowSet tokens;                   ///< All rows.
  RowSet wanted;                   ///< Those whose outputs are read.
  std::vector<uint64_t> examples;  ///< [S]
  std::vector<Segment> segments;
  std::optional<CachedBatch> cached;  ///< If its keys and values are kept.
  std::optional<SharedRows> shared;   ///< If a row may belong to several sequences.

  int64_t num_rows() const { return tokens.size(); }
  int64_t num_sequences() const { return tokens.num_sequences(); }
  int64_t length(int64_t s) const { return tokens.length(s); }

  /// What the segment's owner is told of its part of `rows`, one of the two above.
  RowContext Context(const Segment& segment, const RowSet& rows) const;
  /// The segment's part of a tensor over `rows`. Shapes: x [R, ...]; returns a view of it.
  static at::Tensor RowsOf(const Segment& segment, const RowSet& rows, const at::Tensor& x);
};

/// Packs sequences in the given order. `owners[s]` owns sequence s; equal owners must be
/// neighbours. With a cache, which is borrowed, keys and values are read from it and written to it.
/// Requires: at least one sequence, none empty.
PackedBatch Pack(const std::vector<Sequence>& sequences, const std::vector<Owner>& owners,
                 at::Device device, KvCache* cache = nullptr);

}  // namespace graft::worker::engine
