#include "worker/engine/training/training_client.h"

#include <utility>

#include "common/base/failpoint.h"
#include "worker/engine/device/device.h"

namespace graft::worker::engine {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Status TrainingClient::Add(std::unique_ptr<TrainRun> run, std::shared_ptr<TrainObserver> observer) {
  const std::lock_guard lock(mutex_);
  GRAFT_RETURN_IF_ERROR(closed_);
  new_jobs_.push_back({std::move(run), std::move(observer)});
  ++jobs_count_;
  return OkStatus();
}

void TrainingClient::Turn(const Yield& yield) {
  {
    const std::lock_guard lock(mutex_);
    for (Job& job : new_jobs_) jobs_.push_back(std::move(job));
    new_jobs_.clear();
  }
  if (jobs_.empty()) return;
  Job& job = jobs_.front();
  if (std::optional<StatusOr<TrainOutcome>> end = Advance(job, yield)) {
    // Whoever hears of the end finds the job's memory free and the figures without it.
    const std::shared_ptr<TrainObserver> observer = std::move(job.observer);
    jobs_.pop_front();
    ReleaseCachedMemory(device_);
    --jobs_count_;
    observer->OnDone(std::move(*end));
  } else {
    jobs_.splice(jobs_.end(), jobs_, jobs_.begin());
  }
}

void TrainingClient::Close(const Status& status) {
  const std::lock_guard lock(mutex_);
  closed_ = status;
}

void TrainingClient::FailAll(const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    for (Job& job : new_jobs_) jobs_.push_back(std::move(job));
    new_jobs_.clear();
  }
  for (Job& job : jobs_) job.observer->OnDone(status);
  jobs_.clear();
  jobs_count_ = 0;
}

Status TrainingClient::StoreCheckpoint(Job& job) {
  job.last_checkpoint = SteadyClock::now();
  return Guarded([&] {
    auto bytes = std::make_shared<const std::string>(job.run->Checkpoint());
    job.observer->OnCheckpoint(job.run->step(), std::move(bytes));
    return OkStatus();
  });
}

void TrainingClient::NoteStep(const TrainRun& run, double seconds) {
  ++steps_;
  tokens_ += run.last_step_tokens();
  rows_ += run.last_step_rows();
  if (hooks_.on_step) hooks_.on_step(seconds);
  if (hooks_.on_loss) hooks_.on_loss(run.input().request.spec->adapter, run.last_step_loss());
  GRAFT_FAILPOINT("worker.after_step");
}

StatusOr<TrainOutcome> TrainingClient::Leave(Job& job, TrainOutcome::Kind kind) {
  if (kind != TrainOutcome::Kind::kCancelled) GRAFT_RETURN_IF_ERROR(StoreCheckpoint(job));
  TrainOutcome outcome;
  outcome.kind = kind;
  outcome.precision = job.run->precision();
  outcome.facts.seconds = job.run->seconds();
  return outcome;
}

std::optional<StatusOr<TrainOutcome>> TrainingClient::Advance(Job& job, const Yield& yield) {
  const Yield active = [&] {
    // Autograd of a layer may be on around us; nothing here may join its graph.
    const at::NoGradGuard no_grad;
    job.observer->OnActivity();
    yield();
  };
  const spec::Hyperparameters& hp = job.run->input().request.spec->hyperparameters;
  if (const DesiredState desired = job.observer->Desired(); desired != DesiredState::kRun)
    return Leave(job, EndOf(desired));
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
  if (Status status = Guarded([&] { return job.run->Advance(*job.observer, active); });
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
