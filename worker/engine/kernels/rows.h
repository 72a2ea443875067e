#pragma once
/// Which rows of a packed batch a tensor's first dimension counts, sequence by sequence.

#include <cstdint>
#include <vector>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Sequences lie end to end: sequence s has the rows [offsets[s], offsets[s + 1]), one at least.
/// S sequences, R rows.
struct RowSet {
  std::vector<int64_t> offsets = {0};  ///< [S+1]
  /// [R]: each row's place in its sequence, rising; empty: 0, 1, 2 and so on, the whole sequence.
  std::vector<int64_t> positions;
  at::Tensor index_R;         ///< int64: their rows among all of the batch; undefined: all of them.
  at::Tensor offsets_device;  ///< int32 [S+1] on the device; only there, undefined on the CPU.
  int64_t longest = 0;        ///< Most rows of one sequence.

  bool all() const { return !index_R.defined(); }
  int64_t num_sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t size() const { return offsets.back(); }
  int64_t length(int64_t s) const { return offsets[s + 1] - offsets[s]; }
  /// Place in its sequence of the i-th row of sequence s.
  int64_t position(int64_t s, int64_t i) const {
    return positions.empty() ? i : positions[static_cast<size_t>(offsets[s] + i)];
  }
};

}  // namespace graft::worker::engine
