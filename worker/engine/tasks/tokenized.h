#pragma once
/// A dataset's split as token ids: what training and evaluation walk over.

#include <cstdint>
#include <span>
#include <vector>

#include "common/tokenizers/tokenizer.h"
#include "worker/engine/model/batch.h"

namespace graft::worker::engine {

/// Examples of one split, end to end. Plain host memory.
struct TokenizedSplit {
  std::vector<int32_t> ids, type_ids;         ///< [tokens]
  std::vector<int64_t> offsets = {0};         ///< [examples + 1] into ids.
  std::vector<int32_t> targets;               ///< What the examples are to give: tasks/task.h.
  std::vector<int32_t> positions;             ///< Of each target: the token whose output gives it.
  std::vector<int64_t> target_offsets = {0};  ///< [examples + 1] into targets and positions.
  int64_t num_truncated = 0;                  ///< Examples that reached max_length.
  int64_t num_given = 0;    ///< Examples of the data, which may have become others.
  int64_t num_dropped = 0;  ///< Of these, without a target.

  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  int64_t num_tokens() const { return offsets.back(); }
  /// Of one example: how many rows of outputs its loss is over.
  int64_t num_targets(int64_t i) const { return target_offsets[i + 1] - target_offsets[i]; }

  std::span<const int32_t> targets_of(int64_t i) const { return Part(targets, i); }
  std::span<const int32_t> positions_of(int64_t i) const { return Part(positions, i); }

  /// Example i for a pass that reads its targets' outputs. Borrows from here.
  Sequence sequence(int64_t i) const {
    return {ids.data() + offsets[i], type_ids.data() + offsets[i], length(i),
            static_cast<uint64_t>(i), positions_of(i)};
  }

  /// `its_positions` rise; as many as targets.
  void Append(const tokenizers::Encoding& encoding, std::span<const int32_t> its_targets,
              std::span<const int32_t> its_positions);

 private:
  std::span<const int32_t> Part(const std::vector<int32_t>& of, int64_t i) const {
    return std::span(of).subspan(static_cast<size_t>(target_offsets[i]),
                                 static_cast<size_t>(num_targets(i)));
  }
};

}  // namespace graft::worker::engine
