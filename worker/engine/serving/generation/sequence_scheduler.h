#pragma once
/// Plans the steps of text generation: continuous batching over a bounded key-value cache. Pure: no
/// torch, no thread, no clock; time is counted in steps.
///
///   * A step computes one token of every sequence that decodes, and with the tokens left of its
///     budget chunks of prompts. So no running stream waits for a prompt, however long.
///   * Requests wait in two lanes: prompts that a chunk holds, and longer ones. In each, owners
///     have turns, and an owner's requests come as they arrived. Steps take turns too: in every
///     other one short prompts come first, in the others the oldest prompt. So a short one has its
///     first token within two steps beside any number of long ones, and these never stand still.
///   * A request is admitted when a step has tokens left for it, a slot for each of its n sequences
///     is free, and the cache has blocks for its prompt. One that finds too few waits, and nobody
///     overtakes it. n sequences compute their prompt once and share its blocks.
///   * Blocks are taken as a text grows, not for all that it may become. If none is left the newest
///     sequence is preempted: it gives its blocks back, comes again before all that wait, and
///     computes prompt and text anew, in chunks. The oldest never is, so something always ends.
///
/// Its caller, one thread: Add, Cancel and Finish between steps; NextStep; carries the plan out,
/// and Finishes the sequences whose text has ended. A plan that was made counts as carried out.

#include <cstdint>
#include <unordered_map>

#include "common/base/status.h"
#include "worker/engine/serving/generation/admitted.h"
#include "worker/engine/serving/generation/step_plan.h"
#include "worker/engine/serving/generation/waiting_lane.h"

namespace graft::worker::engine::generation {

struct SequenceRequest {
  uint64_t id = 0;     ///< That of no request that is not over.
  uint64_t owner = 0;  ///< Whose turn it is in: its adapter version.
  int64_t prompt_tokens = 0;
  int64_t max_new_tokens = 0;
  int32_t n = 1;  ///< Sequences.
};

/// Thread safety: none; confined to the engine's thread.
class SequenceScheduler {
 public:
  struct Limits {
    int64_t context_tokens = 0;  ///< Of one sequence, prompt and new ones.
    int32_t num_blocks = 0;      ///< Of the cache.
    int64_t block_tokens = 16;
    int64_t chunk_tokens = 512;   ///< Of one prompt in one step, at most.
    int64_t step_tokens = 768;    ///< Of all rows; a chunk and every slot at least.
    int64_t max_sequences = 256;  ///< Slots: sequences that run at once.
  };

  /// Errors: InvalidArgument if a limit is below 1, or step_tokens below chunk_tokens +
  /// max_sequences.
  static StatusOr<SequenceScheduler> Create(const Limits& limits);

  /// The most new tokens that a request with such a prompt can have: what the context and the cache
  /// hold behind it; below 1 if they don't hold the prompt.
  int64_t MostNewTokens(int64_t prompt_tokens) const;

  /// Takes a request in.
  /// Errors: InvalidArgument, with the numbers and what to change, if it could never run: without a
  /// prompt or new tokens, longer than the context or the cache, or with more sequences than slots.
  Status Add(const SequenceRequest& request);
  /// Drops what is left of a request; its slots and blocks are free at once. Nothing if it is over.
  void Cancel(uint64_t request);
  /// The same of one sequence, which has its first token. Those with all of theirs end by
  /// themselves.
  void Finish(const SequenceId& sequence);

  /// Plans the next step; without rows if nothing is left to compute.
  StepPlan NextStep();

  const KvBlocks& blocks() const { return admitted_.blocks(); }
  /// Slots in use: a prompt has those of all its answers from its start on.
  int64_t num_running() const { return admitted_.width(); }
  /// Requests that were not admitted yet.
  int64_t num_waiting() const { return static_cast<int64_t>(waiting_.size()); }
  bool empty() const { return waiting_.empty() && admitted_.sequences().empty(); }

 private:
  explicit SequenceScheduler(const Limits& limits);

  bool IsShort(int64_t tokens) const { return tokens <= limits_.chunk_tokens; }
  Status CheckFits(const SequenceRequest& request) const;
  /// Tokens of prompt and text together that the cache holds: all but the last one's keys and
  /// values are stored.
  int64_t CacheTokens() const { return limits_.num_blocks * limits_.block_tokens + 1; }
  void Decode(StepPlan& plan);
  /// Chunks of the prompts that run, oldest first: of those alone that a chunk completes, or all.
  void Prefill(bool only_short, StepPlan& plan);
  void PrefillOne(Admitted::Map::iterator entry, StepPlan& plan);
  /// Starts those that come again, then those of the lane, each with its first chunk; long ones
  /// that come again have theirs with the long lane.
  void Admit(WaitingLane& lane, StepPlan& plan);
  int64_t Room(const StepPlan& plan) const { return limits_.step_tokens - plan.tokens; }

  Limits limits_;
  std::unordered_map<uint64_t, SequenceRequest> waiting_;
  WaitingLane short_lane_, long_lane_;
  Admitted admitted_;
  int64_t step_ = 0;  ///< In odd ones short prompts come first.
};

}  // namespace graft::worker::engine::generation
