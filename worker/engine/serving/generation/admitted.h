#pragma once
/// The sequences that have been admitted, oldest first, and the blocks that they hold. Private to
/// the scheduler.

#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "worker/engine/serving/generation/kv_blocks.h"
#include "worker/engine/serving/generation/step_plan.h"

namespace graft::worker::engine::generation {

/// A sequence is four numbers: 0 <= computed <= known() <= prompt_tokens + max_new_tokens; what is
/// left to compute and whether it decodes follow from them.
struct Sequence {
  SequenceId id;
  uint64_t owner = 0;
  int64_t prompt_tokens = 0, max_new_tokens = 0;
  int64_t generated = 0;  ///< Tokens drawn, in plans that were made.
  int64_t computed = 0;   ///< Tokens whose keys and values are stored.
  int32_t width = 1;      ///< Sequences that it stands for: n until its first token, then 1.
  bool is_running = false;
  BlockTable table;  ///< Of all that is known, while it runs.

  int64_t known() const { return prompt_tokens + generated; }
  int64_t left() const { return known() - computed; }
  bool is_decoding() const { return generated > 0 && left() == 1; }
  bool is_done() const { return generated >= max_new_tokens; }
  /// Tokens whose keys and values it may come to hold; the last one's are never needed.
  int64_t most_stored() const { return prompt_tokens + max_new_tokens - 1; }
};

/// Invariant: those that run are older than those that don't. For only the newest is preempted,
/// only the oldest of those that don't run is started, and none is admitted while one doesn't run.
/// So the oldest of all keeps what it has, and advances.
/// Thread safety: none.
class Admitted {
 public:
  /// By the order of admission, then by index.
  using Age = std::pair<uint64_t, int32_t>;
  using Map = std::map<Age, Sequence>;

  Admitted(int32_t num_blocks, int64_t block_tokens, int64_t max_sequences)
      : blocks_(num_blocks, block_tokens), max_sequences_(max_sequences) {}

  /// Admits one more, which doesn't run yet. Requires: all run.
  void Add(Sequence sequence);
  /// The oldest that doesn't run, or the end.
  Map::iterator FirstNotRunning();
  /// Gives it blocks for all that is known of it, if there are as many, and one more for it and
  /// each that runs and may yet need one: else it would soon lose them. If nothing runs it starts.
  /// Requires: it is FirstNotRunning(), and fits the pool.
  bool Start(Sequence& sequence);
  /// Makes room for the last token that is known of the sequence, at the cost of the newest if need
  /// be, which is added to the plan's preempted; false if that is itself.
  bool Grow(Sequence& sequence, StepPlan& plan);
  /// Makes n sequences of one whose prompt is computed. They share its blocks.
  void Fork(Map::iterator parent);
  /// Removes all that `is_over` holds for, and frees their blocks.
  template <typename Predicate>
  void Remove(Predicate is_over) {
    for (auto entry = sequences_.begin(); entry != sequences_.end();) {
      const bool over = is_over(std::as_const(entry->second));
      if (over) blocks_.Free(entry->second.table);
      entry = over ? sequences_.erase(entry) : std::next(entry);
    }
  }

  Map& sequences() { return sequences_; }
  const Map& sequences() const { return sequences_; }
  const KvBlocks& blocks() const { return blocks_; }
  /// Sequences that run, each counted as wide as it will be.
  int64_t width() const;

 private:
  /// A block for each of its sequences, if they may come to need more than `held`; else what
  /// several copy of the one that they share.
  int64_t SoonNeeded(const Sequence& sequence, int64_t held) const;

  KvBlocks blocks_;
  const int64_t max_sequences_;
  Map sequences_;
  uint64_t last_admission_ = 0;
};

}  // namespace graft::worker::engine::generation
