#pragma once
/// The engine's one thread. It takes one training step, or one pass of an evaluation, of each job
/// in turn; between two layers it answers waiting requests, a short pass at a time, and runs a
/// short task behind each. So serving waits for one layer at most, and tasks and newcomers for one
/// pass; where a single text takes longer than a pass should, tasks and short newcomers come in
/// between its layers.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "worker/engine/engine.h"
#include "worker/engine/serving/serving_queue.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {

/// Thread safety: thread safe, except that Start and Stop are called once, by one thread.
class Loop {
 public:
  /// Something that takes turns with training steps. All are called on the loop's thread.
  struct LongTask {
    std::function<bool(const Yield&)>
        advance;                              ///< One turn; false once it is over and has answered.
    std::function<void(const Status&)> fail;  ///< Called instead of any further turn.
  };

  /// `max_waiting`: see EngineOptions; `limits`: of serving passes.
  Loop(at::Device device, size_t max_waiting, const PassSize::Limits& limits,
       const Engine::Probe& probe)
      : device_(device), probe_(probe), serving_(max_waiting, limits) {}

  void Start();
  /// Fails everything that waits, and ends the thread.
  void Stop();

  /// Trains `run` from the next turn on. UNAVAILABLE: stopping; nothing was told to `observer`.
  Status AddJob(std::unique_ptr<TrainRun> run, std::shared_ptr<TrainObserver> observer);
  /// Runs `task` between passes and between layers.
  void Post(std::function<void()> task);
  void Post(LongTask task);
  /// Answers through the request's `done`, also if the queue is full.
  void Serve(std::shared_ptr<ServingRequest> request);

  /// Fills in what the loop counts.
  void Count(EngineFigures& figures) const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  struct TrainJob {
    std::unique_ptr<TrainRun> run;
    std::shared_ptr<TrainObserver> observer;
    SteadyClock::time_point last_checkpoint = SteadyClock::now();
  };

  void Run();
  bool Idle() const { return tasks_.empty() && new_jobs_.empty() && serving_.empty(); }
  /// What runs between two layers: passes of as many tokens as wait at the beginning, for training
  /// goes on behind them whoever comes meanwhile; and short tasks, one behind each pass and all
  /// where nothing is to be served.
  void ServeAndRunTasks();
  enum class TaskTurn { kRan, kNone, kStopping };
  /// Runs a short task, if one waits.
  TaskTurn RunTask();
  /// One turn of the next job, if there is one.
  void AdvanceTraining();
  /// One turn of `job`; its end, if this was the last.
  std::optional<StatusOr<TrainOutcome>> Advance(TrainJob& job);
  void NoteStep(const TrainRun& run, double seconds);
  Status StoreCheckpoint(TrainJob& job);

  const at::Device device_;
  const Engine::Probe& probe_;
  ServingQueue serving_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::deque<LongTask> long_tasks_;
  std::deque<TrainJob> new_jobs_;
  bool stopping_ = false;
  std::list<TrainJob> jobs_;  ///< The loop's thread only; the front is next.
  std::atomic<int64_t> train_tokens_{0}, train_steps_{0}, training_jobs_{0}, served_inputs_{0},
      served_passes_{0};
  std::thread thread_;
};

}  // namespace graft::worker::engine
