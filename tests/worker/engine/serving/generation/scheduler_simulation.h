#pragma once
/// An engine in virtual time around the sequence scheduler. It keeps a cache of cells, writes in
/// each the token whose keys and values would be there, carries copies out, and draws each next
/// token from what it reads back: a block with two owners, a token left out or a copy too late
/// gives another text than the sequence has when it is alone.
///
/// Used by sequence_scheduler_test.cc (single sentences) and sequence_simulation_test.cc (random
/// loads). Every step checks: the step's budgets; that every stream that decodes advances; that no
/// token is left out, or computed twice unless its sequence was preempted.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "worker/engine/serving/generation/sequence_scheduler.h"

namespace graft::worker::engine::generation {

using Tokens = std::vector<uint64_t>;

struct Asked {
  uint64_t owner = 1;
  int64_t prompt_tokens = 1, max_new_tokens = 1;
  int32_t n = 1;
  std::optional<int64_t> ends_after = {};  ///< Tokens, if fewer than max_new_tokens.
};

/// The text that a sequence of a request has if it is alone.
Tokens TextAlone(uint64_t request, int32_t index, const Asked& asked);

/// Chunks of 100 tokens, blocks of 10, and room for all.
inline constexpr SequenceScheduler::Limits kRoomy{.context_tokens = 2000,
                                                  .num_blocks = 1000,
                                                  .block_tokens = 10,
                                                  .chunk_tokens = 100,
                                                  .step_tokens = 132,
                                                  .max_sequences = 32};

/// The same with so many blocks.
inline SequenceScheduler::Limits WithBlocks(int32_t num_blocks) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.num_blocks = num_blocks;
  return limits;
}

class SchedulerSimulation {
 public:
  /// Requires: the limits are valid.
  explicit SchedulerSimulation(const SequenceScheduler::Limits& limits);

  /// Returns the request's number. Requires: it fits.
  uint64_t Add(const Asked& asked);
  void Cancel(uint64_t request);
  StepPlan Step();
  /// Steps until it has its first token; 1000 if it has none by then.
  int StepsUntilFirstToken(uint64_t request);
  /// Steps until nothing is left; `most` if something is by then.
  int StepsUntilAllOver(int most = 100'000);

  const Asked& asked(uint64_t request) const { return asked_.at(request); }
  /// Tokens that a sequence has so far.
  int64_t generated(uint64_t request, int32_t index = 0) const;
  /// Prompt and text that were computed, of all sequences.
  int64_t computed_tokens() const { return computed_tokens_; }
  bool IsOver(uint64_t request) const { return over_.contains(request); }
  int64_t num_preempted() const { return num_preempted_; }
  size_t num_ended() const { return texts_.size(); }
  SequenceScheduler& scheduler() { return scheduler_; }

  /// That every sequence that ended has the text that it has alone, and all blocks are free.
  void CheckEnd() const;

 private:
  struct Stream {
    Tokens history;  ///< Prompt and text.
    int64_t computed = 0;
  };

  void Check(const StepPlan& plan) const;
  void Copy(const StepPlan& plan);
  void Write(const PlannedRows& rows);
  void Draw(const PlannedRows& rows);
  void Take(const SequenceId& id, uint64_t token);
  uint64_t& Cell(const BlockTable& table, int64_t position);

  const SequenceScheduler::Limits limits_;
  SequenceScheduler scheduler_;
  Tokens cells_;
  std::map<uint64_t, Asked> asked_;
  std::map<SequenceId, Stream> streams_;  ///< Those that had a row and have not ended.
  std::map<SequenceId, Tokens> texts_;    ///< Of those that have ended.
  std::map<uint64_t, int32_t> ended_;     ///< Sequences of a request.
  std::set<uint64_t> over_;
  uint64_t last_request_ = 0;
  int64_t computed_tokens_ = 0, num_preempted_ = 0;
};

}  // namespace graft::worker::engine::generation
