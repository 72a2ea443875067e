#pragma once
/// A packed batch: the tokens of all sequences end to end, no padding, each sequence owned by one
/// adapter.

#include <cstdint>
#include <vector>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

class Adapter;

/// One sequence of token ids on the host.
struct Sequence {
  const int32_t* ids = nullptr;       ///< Borrowed for the call that is given it.
  const int32_t* type_ids = nullptr;  ///< The same length, or null for all 0.
  int64_t length = 0;
  uint64_t example = 0;  ///< Its number in the data: what counter-based dropout is keyed by.
};

/// Rows and sequences that belong to one adapter; owners lie one behind the other and cover the
/// batch.
struct Segment {
  const Adapter* adapter = nullptr;  ///< Null: the plain base.
  int64_t row_begin = 0, row_end = 0;
  int64_t sequence_begin = 0, sequence_end = 0;
};

/// Thread safety: a value, const after Pack.
struct PackedBatch {
  at::Tensor token_ids_T;     ///< int64
  at::Tensor type_ids_T;      ///< int64
  at::Tensor position_ids_T;  ///< int64
  at::Tensor first_rows_S;  ///< int64: row of each sequence's first token (what classifiers pool).
  at::Tensor offsets_device;       ///< int32 [S+1] on the device; only there, undefined on the CPU.
  std::vector<int64_t> offsets;    ///< [S+1]
  std::vector<uint64_t> examples;  ///< [S]
  std::vector<Segment> segments;
  int64_t max_length = 0;

  int64_t num_rows() const { return offsets.back(); }
  int64_t num_sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t s) const { return offsets[s + 1] - offsets[s]; }
};

/// Packs sequences in the given order. `owners[s]` is the adapter of sequence s; equal owners must
/// be neighbours. Requires: at least one sequence, none empty.
PackedBatch Pack(const std::vector<Sequence>& sequences, const std::vector<const Adapter*>& owners,
                 at::Device device);

}  // namespace graft::worker::engine
