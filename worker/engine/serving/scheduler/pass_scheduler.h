#pragma once
/// Plans serving passes: which texts of which requests come next. Pure: no torch, no thread, no
/// clock; the queue above runs what is planned and says how long it took.
///
///   * A pass is as long as its base computes in a given time (PassSize), and one text at least.
///     Who looks between two passes therefore waits for one such time at most, or for one text;
///     between the layers of a text that takes longer, short requests may have a pass.
///   * Short requests (one text that fits a pass, or a sixteenth of a pass or its least) wait in a
///     lane of their own, which comes first, yet has half a pass at most while longer ones of its
///     kind wait; and a pass that it took to itself is followed by one of theirs. So a short
///     request is answered within two passes beside any number of long ones, and these never stand
///     still.
///   * Kinds of pass (bases, embeddings or logits) take turns; every other pass goes to one that
///     has short requests. Within a kind owners (adapters) take turns by deficit round robin over
///     tokens, and so do the long requests of one owner.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "worker/engine/serving/scheduler/lane.h"
#include "worker/engine/serving/scheduler/pass_size.h"

namespace graft::worker::engine {

/// What is to be computed together; empty if nothing waits.
struct PassPlan {
  PassKind kind;
  std::vector<ScheduledText> texts;  ///< Owners, and of these requests, are neighbours, by number.
  int64_t tokens = 0;
};

/// Thread safety: none; confined to the engine's thread.
class PassScheduler {
 public:
  struct Request {
    PassKind kind;
    uint64_t owner = 0;            ///< Whom the texts are counted for.
    std::vector<int64_t> lengths;  ///< Tokens of each text, at least 1.
  };

  explicit PassScheduler(const PassSize::Limits& limits = {}) : limits_(limits) {}

  /// Requires: `id` is new; at least one text.
  void Add(uint64_t id, Request request);
  /// Drops the texts that are in no plan yet; nothing if there are none.
  void Remove(uint64_t id);
  /// Takes the next pass's texts off. `most`: tokens that it may hold, if fewer than it would; one
  /// text it holds all the same.
  PassPlan NextPass(int64_t most);
  /// True if the pass is expected to take longer than one should: it holds one text that does.
  bool IsOversized(const PassPlan& plan) { return plan.tokens > SizeOf(plan.kind.base).tokens(); }
  /// Takes the texts off of a pass between two layers of an oversized one: of short requests, and
  /// no longer than a pass should be. Empty if there are none.
  PassPlan NextBetweenLayers();
  /// Tells how long a planned pass took.
  void Ran(const PassPlan& plan, double seconds);

  /// Tokens of the texts that are in no plan yet.
  int64_t tokens() const { return tokens_; }
  /// Bases whose speed is remembered.
  size_t bases() const { return sizes_.size(); }

 private:
  struct Kind {
    PassKind id;
    Lane short_lane{/*takes_turns=*/false}, long_lane{/*takes_turns=*/true};
    bool long_is_due = false;  ///< The last pass left its long requests out.

    bool empty() const { return short_lane.empty() && long_lane.empty(); }
  };
  using Kinds = std::list<Kind>;

  PassSize& SizeOf(uint64_t base);
  Kinds::iterator KindOf(const PassKind& id);
  /// The kind of the next pass. Requires: something waits.
  Kinds::iterator PickKind();
  void Fill(Kind& kind, int64_t most, PassPlan& plan);
  /// Takes what was planned off the books; its kind leaves with its last text.
  /// Returns true if the kind is still there.
  bool Complete(Kinds::iterator kind, PassPlan& plan);

  const PassSize::Limits limits_;
  Kinds kinds_;                   ///< Those that something waits for, in the order of their turns.
  bool short_was_first_ = false;  ///< The last kind was picked for its short requests, if any had.
  PassKind between_layers_;       ///< The kind that last had a pass between layers.
  std::unordered_map<uint64_t, WaitingRequest> requests_;
  std::map<uint64_t, PassSize> sizes_;  ///< By base.
  int64_t tokens_ = 0;
};

}  // namespace graft::worker::engine
