#include "worker/engine/loop/loop.h"

#include <cstdlib>
#include <utility>

#include "common/base/failpoint.h"
#include "common/base/guard.h"
#include "worker/engine/device/device.h"

namespace graft::worker::engine {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void Loop::Start() {
  thread_ = StartThread([this] { Run(); }, [](const Status&) { std::abort(); });
}

void Loop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) tasks_.push_back(std::exchange(task, nullptr));
  }
  // Whoever waits for it must not wait forever; short tasks touch nothing of the loop's.
  if (task) return task();
  wake_.notify_all();
}

void Loop::Post(LongTask task) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      long_tasks_.push_back(std::move(task));
      task = {};
    }
  }
  if (task.fail) return task.fail(UnavailableError("the worker is stopping"));
  wake_.notify_all();
}

Status Loop::AddJob(std::unique_ptr<TrainRun> run, std::shared_ptr<TrainObserver> observer) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return UnavailableError("the worker is stopping");
    new_jobs_.push_back({std::move(run), std::move(observer)});
    ++training_jobs_;
  }
  wake_.notify_all();
  return OkStatus();
}

void Loop::Serve(std::shared_ptr<ServingRequest> request) {
  served_inputs_ += static_cast<int64_t>(request->inputs.size());
  const Status status = serving_.Push(request);
  if (!status.ok()) return std::exchange(request->done, nullptr)(status);
  // The lock orders this push against the thread's check for work, so that its wake-up can't be
  // lost.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

void Loop::Count(EngineFigures& figures) const {
  figures.train_tokens = train_tokens_;
  figures.train_steps = train_steps_;
  figures.training_jobs = training_jobs_;
  figures.requests_waiting = serving_.waiting();
  figures.served_inputs = served_inputs_;
  figures.served_passes = served_passes_;
}

void Loop::ServeAndRunTasks() {
  // Autograd of a training layer may be on around us; nothing here may join its graph.
  const at::NoGradGuard no_grad;
  const ServingQueue::Hooks hooks{.on_pass =
                                      [this](int64_t rows) {
                                        ++served_passes_;
                                        if (probe_.serving_pass) probe_.serving_pass(rows);
                                      },
                                  .between_layers = [this] { (void)RunTask(); }};
  int64_t left = serving_.WaitingTokens();
  for (TaskTurn turn = TaskTurn::kRan; turn != TaskTurn::kStopping;) {
    const int64_t served = left > 0 ? serving_.ServePass(left, hooks) : 0;
    left = served > 0 ? left - served : 0;
    turn = RunTask();
    if (left <= 0 && (turn == TaskTurn::kNone || !serving_.empty())) return;
  }
}

Loop::TaskTurn Loop::RunTask() {
  std::function<void()> task;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return TaskTurn::kStopping;
    if (tasks_.empty()) return TaskTurn::kNone;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
  return TaskTurn::kRan;
}

void Loop::Run() {
  const Yield yield = [this] { ServeAndRunTasks(); };
  for (;;) {
    ServeAndRunTasks();
    LongTask long_task;
    {
      std::unique_lock lock(mutex_);
      if (jobs_.empty() && long_tasks_.empty()) {
        wake_.wait(lock, [this] { return stopping_ || !Idle() || !long_tasks_.empty(); });
      }
      if (stopping_) break;
      for (TrainJob& job : new_jobs_) jobs_.push_back(std::move(job));
      new_jobs_.clear();
      if (!long_tasks_.empty()) {
        long_task = std::move(long_tasks_.front());
        long_tasks_.pop_front();
      }
    }
    if (long_task.advance && long_task.advance(yield)) {
      const std::lock_guard lock(mutex_);
      long_tasks_.push_back(std::move(long_task));
    }
    AdvanceTraining();
  }
  // Nobody may wait forever for a thread that has gone.
  const Status gone = UnavailableError("the worker is stopping");
  serving_.FailAll(gone);
  for (const std::function<void()>& task : tasks_) task();
  tasks_.clear();
  for (LongTask& task : long_tasks_) task.fail(gone);
  long_tasks_.clear();
  for (TrainJob& job : jobs_) job.observer->OnDone(gone);
  jobs_.clear();
  for (TrainJob& job : new_jobs_) job.observer->OnDone(gone);
  new_jobs_.clear();
}

void Loop::AdvanceTraining() {
  if (jobs_.empty()) return;
  TrainJob& job = jobs_.front();
  if (std::optional<StatusOr<TrainOutcome>> end = Advance(job)) {
    // Whoever hears of the end finds the job's memory free and the figures without it.
    const std::shared_ptr<TrainObserver> observer = std::move(job.observer);
    jobs_.pop_front();
    ReleaseCachedMemory(device_);
    --training_jobs_;
    observer->OnDone(std::move(*end));
  } else {
    jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
  }
}

Status Loop::StoreCheckpoint(TrainJob& job) {
  job.last_checkpoint = SteadyClock::now();
  return Guarded([&] {
    auto bytes = std::make_shared<const std::string>(job.run->Checkpoint());
    job.observer->OnCheckpoint(job.run->step(), std::move(bytes));
    return OkStatus();
  });
}

void Loop::NoteStep(const TrainRun& run, double seconds) {
  ++train_steps_;
  train_tokens_ += run.last_step_tokens();
  if (probe_.train_step) probe_.train_step(seconds);
  if (probe_.train_loss) probe_.train_loss(run.input().request.spec->adapter, run.last_step_loss());
  GRAFT_FAILPOINT("worker.after_step");
}

std::optional<StatusOr<TrainOutcome>> Loop::Advance(TrainJob& job) {
  const Yield yield = [this, &job] {
    job.observer->OnActivity();
    ServeAndRunTasks();
  };
  const spec::Hyperparameters& hp = job.run->input().request.spec->hyperparameters;
  const auto end = [&](TrainOutcome::Kind kind) -> StatusOr<TrainOutcome> {
    if (kind != TrainOutcome::Kind::kCancelled) GRAFT_RETURN_IF_ERROR(StoreCheckpoint(job));
    TrainOutcome outcome;
    outcome.kind = kind;
    outcome.precision = job.run->precision();
    outcome.facts.seconds = job.run->seconds();
    return outcome;
  };
  switch (job.observer->Desired()) {
    case DesiredState::kCancel:
      return end(TrainOutcome::Kind::kCancelled);
    case DesiredState::kPause:
      return end(TrainOutcome::Kind::kPaused);
    case DesiredState::kRelease:
      return end(TrainOutcome::Kind::kReleased);
    case DesiredState::kRun:
      break;
  }
  if (job.run->done()) return Guarded([&] { return job.run->Finish(); });
  // What is trained is only evaluated yet: its result isn't thrown away.
  if (hp.max_run_seconds > 0 && !job.run->trained() &&
      job.run->seconds() > static_cast<double>(hp.max_run_seconds)) {
    return FailedPreconditionError("the job trained longer than its max_run_seconds of " +
                                   std::to_string(hp.max_run_seconds) + "; it was at step " +
                                   std::to_string(job.run->step()))
        .At("hyperparameters.max_run_seconds", "TOO_SLOW");
  }
  const auto start = SteadyClock::now();
  const int64_t step = job.run->step();
  if (Status status = Guarded([&] { return job.run->Advance(*job.observer, yield); });
      !status.ok()) {
    return status;
  }
  if (job.run->step() > step) NoteStep(*job.run, SecondsSince(start));
  if (!job.run->done() &&
      SecondsSince(job.last_checkpoint) >= static_cast<double>(hp.checkpoint_seconds)) {
    if (Status status = StoreCheckpoint(job); !status.ok()) return status;
  }
  return std::nullopt;
}

}  // namespace graft::worker::engine
