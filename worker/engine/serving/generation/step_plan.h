#pragma once
/// What one step of generation computes. Values; made by SequenceScheduler, carried out by the
/// engine.

#include <compare>
#include <cstdint>
#include <vector>

#include "worker/engine/serving/generation/kv_blocks.h"

namespace graft::worker::engine::generation {

/// A prompt with n answers is n sequences.
struct SequenceId {
  uint64_t request = 0;
  int32_t index = 0;  ///< [0, n)
  friend auto operator<=>(const SequenceId&, const SequenceId&) = default;
};

/// Consecutive tokens of one sequence: a chunk of its prompt, or the one token that it decodes.
struct PlannedRows {
  SequenceId sequence;
  uint64_t owner = 0;
  int64_t begin = 0;   ///< Position of the first: that of its keys and values, too.
  int64_t tokens = 0;  ///< At least 1.
  /// The sequence's blocks, with room for these tokens. Valid until the next step is planned, or
  /// the sequence ends.
  const BlockTable* table = nullptr;
  /// Tokens to draw of the last row's logits: none for a chunk with more behind it; 1; or n where a
  /// prompt ends, one for each sequence from `sequence.index` on.
  int32_t samples = 0;
  bool is_decode = false;  ///< Else it belongs to a prompt, or to what is computed again.
};

struct StepPlan {
  /// To be carried out before any row is computed, one after the other: a block that was copied
  /// from may be copied to by a later one.
  std::vector<BlockCopy> copies;
  std::vector<PlannedRows> rows;  ///< By owner, then by sequence: an owner's are neighbours.
  int64_t tokens = 0;             ///< Of all rows.
  /// Sequences that lost their blocks; they come again, from position 0.
  std::vector<SequenceId> preempted;
};

}  // namespace graft::worker::engine::generation
