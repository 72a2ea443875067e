#pragma once
/// Requests that wait for a pass, and the passes that answer them: every input that waits is packed
/// with the others over the same base, each with its own adapter.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/tokenizers/tokenizer.h"
#include "worker/engine/adapter_cache.h"
#include "worker/engine/types.h"

namespace graft::worker::engine {

/// One request: some inputs of one owner. Answered when the last of its inputs is.
struct ServingRequest {
  std::shared_ptr<const ResidentVersion> version;  ///< Null: the plain base (embeddings only).
  LoadedBase on;
  bool embed = false;
  bool normalize = false;
  std::vector<tokenizers::Encoding> inputs;
  std::vector<bool> truncated;
  /// Filled by passes: logits [C] or a sentence embedding [D] an input.
  std::vector<std::vector<float>> outputs;
  size_t remaining = 0;
  Abandoned abandoned;
  std::function<void(Status)> done;  ///< Called once, on the engine's thread; then null.
};

Status NobodyWaits();

/// Thread safety: Push from any thread; ServeWaiting on the engine's thread only.
class ServingQueue {
 public:
  explicit ServingQueue(size_t max_waiting) : max_waiting_(max_waiting) {}

  /// Errors: ResourceExhausted if too many inputs wait; then `done` isn't called.
  Status Push(std::shared_ptr<ServingRequest> request);
  bool empty() const { return waiting_ == 0; }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.load()); }
  /// Runs everything that waits now, but for requests that were abandoned. `on_pass` is told the
  /// rows of each pass. A pass that fails is run again a request at a time, so that one owner's
  /// fault isn't another's.
  void ServeWaiting(const std::function<void(int64_t rows)>& on_pass);
  /// Answers everything that waits with `status`.
  void FailAll(const Status& status);

 private:
  struct Item {
    std::shared_ptr<ServingRequest> request;
    size_t input = 0;
  };
  using Items = std::vector<Item>;

  /// Takes what waits, owners as neighbours.
  Items TakeAll();
  /// The next pass's inputs, from `begin` on, which moves behind them; those that need no answer
  /// any more are passed over.
  Items NextPass(const Items& items, size_t& begin, int64_t& rows);
  Status RunGuarded(const Items& pass);
  void RunPass(const Items& items);
  static void Settle(const Item& item, const Status& status);

  const size_t max_waiting_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<ServingRequest>> requests_;
  std::atomic<size_t> waiting_{0};
};

}  // namespace graft::worker::engine
