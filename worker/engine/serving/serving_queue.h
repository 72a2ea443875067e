#pragma once
/// Requests that wait for a pass, and the passes that answer them, one at a time: inputs over the
/// same base are packed together, each with its own adapter. Which come next the scheduler says.

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/tokenizers/tokenizer.h"
#include "worker/engine/caches/adapter_cache.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/serving/scheduler/pass_scheduler.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

enum class ServingOutput { kLabels, kEmbedding, kTokenScores };

/// One request: some inputs of one owner. Answered when the last of its inputs is.
struct ServingRequest {
  std::shared_ptr<const ResidentVersion> version;  ///< Null: the plain base, which has no labels.
  LoadedBase on;
  ServingOutput output = ServingOutput::kLabels;
  bool normalize = false;
  std::vector<tokenizers::Encoding> inputs;
  /// Positions whose outputs answer each input, rising; empty: all do.
  std::vector<std::vector<int32_t>> read;
  std::vector<bool> truncated;
  /// Filled by passes: logits [C], a sentence embedding [D], or of each position that is read the
  /// log-probability of the token behind it, an input.
  std::vector<std::vector<float>> outputs;
  int best_tokens = 0;  ///< Of kTokenScores: so many of the likeliest are told too,
  std::vector<std::vector<std::vector<TokenScore>>> best;  ///< of each position, an input.
  size_t remaining = 0;
  Abandoned abandoned;
  std::function<void(Status)> done;  ///< Called once, on the engine's thread; then null.
};

Status NobodyWaits();

/// Thread safety: Push, idle and waiting from any thread; the others on the engine's thread only.
class ServingQueue : public ForegroundClient {
 public:
  /// Passes take their memory of `ledger`. `on_pass`, if set, is called behind each pass with its
  /// rows.
  ServingQueue(size_t max_waiting, const PassSize::Limits& limits, std::shared_ptr<Ledger> ledger,
               std::function<void(int64_t rows)> on_pass = {})
      : max_waiting_(max_waiting),
        ledger_(std::move(ledger)),
        on_pass_(std::move(on_pass)),
        scheduler_(limits) {}

  /// Answers through the request's `done`: with ResourceExhausted, at once, if too many inputs
  /// wait. True if it waits now.
  bool Push(std::shared_ptr<ServingRequest> request);
  int64_t waiting() const { return static_cast<int64_t>(waiting_.load()); }
  int64_t inputs() const { return inputs_; }  ///< Of all requests since start.
  int64_t passes() const { return passes_; }  ///< Since start.

  bool idle() const override { return waiting_ == 0; }
  int64_t WaitingRows() override;
  /// Runs the next pass. One that fails is run again a request at a time, so that one owner's fault
  /// isn't another's. Where one input takes longer than a pass should, short requests have passes
  /// between its layers, the next once the input is as far itself (tokens times layers).
  int64_t Turn(int64_t most, const Yield& between_layers) override;
  void Close(const Status& status) override;
  void FailAll(const Status& status) override;

 private:
  struct Item {
    std::shared_ptr<ServingRequest> request;
    size_t input = 0;
  };
  using Items = std::vector<Item>;
  using Requests = std::map<uint64_t, std::shared_ptr<ServingRequest>>;

  /// Hands new requests to the scheduler.
  void Admit();
  /// Lets go of those that nobody waits for, `but` one whose pass is running.
  void DropAbandoned(uint64_t but);
  /// Answers a request, and drops what of it still waits. Returns the next.
  Requests::iterator Finish(Requests::iterator request, const Status& status);
  /// Notes the outcome for `inputs` of a request.
  void Settle(uint64_t id, size_t inputs, const Status& status);
  /// Runs what was planned and notes the outcome. `yield`, if set, is called between layers.
  void Run(const PassPlan& plan, const Yield& yield);
  /// A pass of short requests between two layers of a request's text; returns its rows.
  int64_t ServeBetweenLayers(uint64_t of);
  Status RunGuarded(const Items& pass, const Yield& yield);
  Status RunPass(const Items& items, const Yield& yield);
  static Status ReadTokenScores(const Items& items, const at::Tensor& hidden_RD,
                                const WeightSet& weights, const Yield& yield);

  static constexpr uint64_t kNone = 0;  ///< No request's number.

  const size_t max_waiting_;
  const std::shared_ptr<Ledger> ledger_;
  const std::function<void(int64_t)> on_pass_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<ServingRequest>> new_requests_;  ///< Guarded by mutex_.
  Status closed_;                   ///< Guarded by mutex_; what Close was given.
  std::atomic<size_t> waiting_{0};  ///< Inputs without an answer.
  std::atomic<int64_t> inputs_{0}, passes_{0};
  PassScheduler scheduler_;
  Requests requests_;  ///< The scheduler's, by number in the order of arrival.
  uint64_t next_id_ = 1;
};

}  // namespace graft::worker::engine
