#pragma once
/// Loss and figures of an adapter over a split, a pass at a time.

#include <memory>

#include "common/spec/pass_memory.h"
#include "worker/engine/adapters/adapter.h"
#include "worker/engine/device/ledger.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/tasks/tokenized.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// Runs a split in its own order. What it has counted so far is not checkpointed: a resumed job
/// evaluates the split again. Thread safety: confined to the engine's thread.
class SplitEvaluation {
 public:
  /// Keeps references to all of them. `ledger`: what passes take is reserved there; null if the
  /// caller holds it. Requires: at least one example; targets are the task's; the adapter doesn't
  /// change before done().
  SplitEvaluation(const Model& model, const Base& base, const Adapter& adapter, const Task& task,
                  const TokenizedSplit& split, Ledger* ledger);
  /// Tokens of the largest pass that a split takes; 0 if it is empty.
  static int64_t LargestPass(const TokenizedSplit& split);

  /// Runs one pass; `yield` is called between its layers. Requires: !done().
  /// A pass that runs out of memory is cut in half, and so are those behind it.
  /// Errors: FailedPrecondition if a logit isn't finite; ResourceExhausted if a single example
  /// doesn't fit in memory.
  Status Advance(const Yield& yield);
  bool done() const { return next_ >= split_.size(); }
  /// Requires: done().
  Evaluation Result() const;

 private:
  /// Behind the last example of the pass that begins with next_.
  int64_t PassEnd() const;
  Status RunPass(int64_t end, const Yield& yield);

  const Model& model_;
  const Base& base_;
  const Adapter& adapter_;
  const Task& task_;
  const TokenizedSplit& split_;
  std::unique_ptr<Scorer> scorer_;
  int64_t next_ = 0;  ///< Example that the next pass begins with.
  Ledger* const ledger_;
  int64_t max_tokens_ = spec::kEvaluationTokens;
};

}  // namespace graft::worker::engine
