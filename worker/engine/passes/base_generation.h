#pragma once
/// The texts that are generated over one base: their sequences, the cache, and the steps.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/engine/loop/client.h"
#include "worker/engine/model/kv_cache.h"
#include "worker/engine/passes/generation_work.h"
#include "worker/engine/serving/generation/sampling.h"
#include "worker/engine/serving/generation/sequence_scheduler.h"
#include "worker/engine/serving/generation/stop.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread.
class BaseGeneration {
 public:
  struct Setup {
    generation::SequenceScheduler scheduler;
    int64_t num_blocks = 0, block_tokens = 0;
    Holding memory;  ///< Of the blocks.
  };
  /// `ledger`: the blocks are reserved there; null if the caller holds their memory.
  /// Errors: FailedPrecondition if the base has no language head; ResourceExhausted with the
  /// numbers if the limits hold no text, or the ledger has less free than a context or the limits
  /// take.
  static StatusOr<Setup> Plan(const LoadedBase& on, const GenerationLimits& limits, Ledger* ledger);

  /// Passes take their memory of `ledger`, if it isn't null. `open`, which is borrowed, counts the
  /// requests that aren't over: one that ends leaves it first.
  BaseGeneration(LoadedBase on, Setup setup, std::shared_ptr<Ledger> ledger,
                 std::atomic<size_t>& open);

  /// Takes a request in. Errors: as SequenceScheduler::Add; then `done` isn't called.
  Status Add(std::shared_ptr<GenerationWork> work);
  /// Ends the requests that nobody waits for.
  void DropAbandoned();
  void FailAll(const Status& status);
  bool empty() const { return requests_.empty(); }
  int64_t cache_bytes() const { return cache_.bytes(); }
  int64_t used_cache_bytes() const {
    const generation::KvBlocks& blocks = scheduler_.blocks();
    return cache_.bytes() / blocks.num_blocks() * (blocks.num_blocks() - blocks.free_blocks());
  }

  struct StepFigures {
    int64_t rows = 0, prompt_tokens = 0, generated_tokens = 0, preempted = 0;
  };
  /// One step; see RunOrEnd for what becomes of a pass that fails.
  StepFigures Step(const Yield& between_layers);

 private:
  struct SequenceState {
    std::vector<int32_t> tokens;  ///< Prompt, then generated.
    std::unique_ptr<tokenizers::DecodeStream> text;
    std::optional<generation::StopConditions> stop;
  };
  struct Request {
    std::shared_ptr<GenerationWork> work;
    std::optional<generation::StopStrings> stop_strings;
    std::vector<SequenceState> sequences;
    size_t running = 0;
  };
  using Requests = std::map<uint64_t, Request>;
  using Rows = std::vector<generation::PlannedRows>;

  /// Runs a pass. One that fails is run again an owner at a time, and what fails again ends with
  /// its error.
  void RunOrEnd(const Rows& pass, const Yield& between_layers, StepFigures& figures);
  /// Computes rows, all of the plan or an owner's, and chooses tokens of those that ask for some.
  Status Run(const Rows& rows, const Yield& between_layers, StepFigures& figures);
  /// Logits of the last row of each of `rows` that asks for a token, on the host. Shapes: [those,
  /// V]. Errors: as Ledger::Reserve.
  StatusOr<at::Tensor> Logits(const Rows& rows, const Yield& between_layers);
  Status ChooseTokens(const generation::PlannedRows& rows, std::span<const float> logits,
                      StepFigures& figures);
  /// Takes a token into its sequence, tells its text, and ends it if it is over.
  void Take(Request& request, const generation::SequenceId& id, const generation::Choice& choice,
            StepFigures& figures);
  /// Decodes what comes behind the prompt.
  std::unique_ptr<tokenizers::DecodeStream> StartText(const GenerationWork& work) const;
  Requests::iterator End(Requests::iterator request, const Status& status);

  const LoadedBase on_;
  const std::shared_ptr<Ledger> ledger_;
  std::atomic<size_t>& open_;
  generation::SequenceScheduler scheduler_;
  const Holding cache_memory_;
  KvCache cache_;
  generation::Sampler sampler_;
  Requests requests_;
  uint64_t next_id_ = 1;
};

}  // namespace graft::worker::engine
