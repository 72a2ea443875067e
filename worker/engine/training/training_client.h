#pragma once
/// The jobs that train on a device: each has a turn, an optimizer step or one pass of an
/// evaluation, then the next.

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "worker/engine/loop/client.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {

/// Thread safety: Add, idle and the figures from any thread; the others on the engine's thread
/// only.
class TrainingClient : public BackgroundClient {
 public:
  /// Told on the engine's thread behind each step. All optional.
  struct Hooks {
    std::function<void(double seconds)> on_step;
    /// The mean loss of the step's targets.
    std::function<void(const std::string& adapter, double loss)> on_loss;
  };

  TrainingClient(at::Device device, Hooks hooks) : device_(device), hooks_(std::move(hooks)) {}

  /// Trains `run` from the next turn on. Errors: what Close was given; then
  /// nothing was told to `observer`.
  Status Add(std::unique_ptr<TrainRun> run, std::shared_ptr<TrainObserver> observer);
  int64_t jobs() const { return jobs_count_; }
  int64_t steps() const { return steps_; }    ///< Since start.
  int64_t tokens() const { return tokens_; }  ///< Since start.
  int64_t rows() const { return rows_; }      ///< Since start: those computed for them.

  bool idle() const override { return jobs_count_ == 0; }
  void Turn(const Yield& yield) override;
  void Close(const Status& status) override;
  void FailAll(const Status& status) override;

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct Job {
    std::unique_ptr<TrainRun> run;
    std::shared_ptr<TrainObserver> observer;
    SteadyClock::time_point last_checkpoint = SteadyClock::now();
  };

  /// One turn of `job`; its end, if this was the last.
  std::optional<StatusOr<TrainOutcome>> Advance(Job& job, const Yield& yield);
  /// How a job ends that its owner doesn't want to go on with.
  StatusOr<TrainOutcome> Leave(Job& job, TrainOutcome::Kind kind);
  Status StoreCheckpoint(Job& job);
  void NoteStep(const TrainRun& run, double seconds);

  const at::Device device_;
  const Hooks hooks_;
  std::mutex mutex_;
  std::vector<Job> new_jobs_;  ///< Guarded by mutex_.
  Status closed_;              ///< Guarded by mutex_; what Close was given.
  std::list<Job> jobs_;        ///< The front is next.
  std::atomic<int64_t> jobs_count_{0}, steps_{0}, tokens_{0}, rows_{0};
};

}  // namespace graft::worker::engine
