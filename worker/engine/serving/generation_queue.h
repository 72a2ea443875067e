#pragma once
/// Texts that are being generated: what the scheduler plans is computed, a token of each is chosen
/// and told, step by step. Sequences of any adapters over one base share a step.

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "worker/engine/loop/client.h"
#include "worker/engine/passes/generation_work.h"

namespace graft::worker::engine {

class BaseGeneration;

/// Thread safety: Push, idle and the figures from any thread; the others on the engine's thread
/// only.
class GenerationQueue : public ForegroundClient {
 public:
  /// Caches and passes take their memory of `ledger`.
  GenerationQueue(const GenerationLimits& limits, std::shared_ptr<Ledger> ledger);
  ~GenerationQueue() override;

  /// Answers through `done` alone, at once with ResourceExhausted if too many wait. True if it
  /// waits now.
  bool Push(std::shared_ptr<GenerationWork> work);
  int64_t requests() const { return static_cast<int64_t>(open_.load()); }
  int64_t prompt_tokens() const { return prompt_tokens_; }        ///< Computed since start.
  int64_t generated_tokens() const { return generated_tokens_; }  ///< Since start.
  int64_t preemptions() const { return preemptions_; }            ///< Since start.
  int64_t cache_bytes() const { return cache_bytes_; }            ///< Of all bases, now.
  int64_t used_cache_bytes() const { return used_cache_bytes_; }  ///< By texts, now.

  bool idle() const override { return open_ == 0; }
  /// A step's worth, if there is one: the background waits for a step at a time.
  int64_t WaitingRows() override;
  int64_t Turn(int64_t most, const Yield& between_layers) override;
  void Close(const Status& status) override;
  void FailAll(const Status& status) override;

 private:
  /// Hands new requests to their bases.
  void Admit();
  void DropAbandoned();
  /// Gives back the caches of bases whose texts are all over, and counts the others'.
  void CountCaches();

  const GenerationLimits limits_;
  const std::shared_ptr<Ledger> ledger_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<GenerationWork>> new_work_;  ///< Guarded by mutex_.
  Status closed_;  ///< Guarded by mutex_; what Close was given.
  std::atomic<size_t> open_{0};
  std::atomic<int64_t> prompt_tokens_{0}, generated_tokens_{0}, preemptions_{0};
  std::atomic<int64_t> cache_bytes_{0}, used_cache_bytes_{0};
  std::map<const Base*, std::unique_ptr<BaseGeneration>> bases_;
  const Base* last_ = nullptr;  ///< Whose step was the last: bases take turns.
};

}  // namespace graft::worker::engine
