#pragma once
/// A dataset's split as token ids: what training and evaluation walk over.

#include <cstdint>
#include <span>
#include <vector>

#include "common/tokenizers/tokenizer.h"

namespace graft::worker::engine {

/// Examples of one split, end to end. Plain host memory.
struct TokenizedSplit {
  std::vector<int32_t> ids, type_ids;         ///< [tokens]
  std::vector<int64_t> offsets = {0};         ///< [examples + 1] into ids.
  std::vector<int32_t> targets;               ///< What the examples are to give: tasks/task.h.
  std::vector<int64_t> target_offsets = {0};  ///< [examples + 1] into targets.
  int64_t num_truncated = 0;                  ///< Examples that reached max_length.

  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  int64_t num_tokens() const { return offsets.back(); }
  /// Of one example: how many rows of outputs its loss is over.
  int64_t num_targets(int64_t i) const { return target_offsets[i + 1] - target_offsets[i]; }

  void Append(const tokenizers::Encoding& encoding, std::span<const int32_t> its_targets);
};

}  // namespace graft::worker::engine
