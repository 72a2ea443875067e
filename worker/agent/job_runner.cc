#include "worker/agent/job_runner.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "common/base/failpoint.h"
#include "common/base/fault.h"
#include "common/base/guard.h"
#include "common/base/sha256.h"
#include "common/datasets/dataset.h"
#include "common/objects/keys.h"
#include "common/spec/job_spec.h"
#include "proto/grpc_status.h"
#include "proto/report.h"
#include "worker/agent/convert.h"
#include "worker/agent/train_trace.h"

namespace graft::worker::agent {
namespace {

using namespace std::chrono_literals;
namespace pb = graft::internal::v1;

/// Of a report, below what the server takes at once. While it is away the newest are kept.
constexpr int kMaxEvents = 500;
constexpr size_t kMaxSampleBytes = size_t{256} << 10;

/// Drops the oldest samples, then old progress, then whatever is oldest, until `events` are few and
/// small enough to be reported.
void KeepNewest(google::protobuf::RepeatedPtrField<graft::v1::JobEvent>& events) {
  size_t sample_bytes = 0;
  for (int i = events.size() - 1; i >= 0; --i) {
    if (!events[i].has_sample()) continue;
    sample_bytes += events[i].ByteSizeLong();
    if (sample_bytes > kMaxSampleBytes) events.DeleteSubrange(i, 1);
  }
  int excess = events.size() - kMaxEvents;
  for (int i = 0; excess > 0 && i < events.size();) {
    if (events[i].has_progress()) {
      events.DeleteSubrange(i, 1);
      --excess;
    } else {
      ++i;
    }
  }
  if (excess > 0) events.DeleteSubrange(0, excess);
}

}  // namespace

/// Receives the engine's calls on its thread and hands them over.
class JobRunner::Observer : public engine::TrainObserver {
 public:
  explicit Observer(JobRunner& runner)
      : runner_(runner), trace_(runner.context_.tracer, runner.trace_) {}

  void OnMemory(int64_t bytes) override {
    const std::lock_guard lock(runner_.mutex_);
    runner_.needed_bytes_ = bytes;
  }
  void OnStarted(const std::string& precision, int64_t first_step) override {
    trace_.Started(precision, first_step);
    const std::lock_guard lock(runner_.mutex_);
    runner_.report_.set_resolved_precision(precision);
    runner_.report_.set_step(first_step);
  }
  void OnProgress(const engine::Progress& progress) override {
    trace_.Progressed(progress);
    Add(progress.step,
        [&](graft::v1::JobEvent& event) { *event.mutable_progress() = proto::ToProto(progress); });
  }
  void OnEvaluation(const engine::Evaluation& evaluation) override {
    trace_.Evaluated(evaluation);
    Add(evaluation.step, [&](graft::v1::JobEvent& event) {
      *event.mutable_evaluation() = proto::ToProto(evaluation);
    });
  }
  void OnSample(const report::Sample& sample) override {
    Add(sample.step,
        [&](graft::v1::JobEvent& event) { *event.mutable_sample() = proto::ToProto(sample); });
  }
  void OnActivity() override {
    const std::lock_guard lock(runner_.mutex_);
    runner_.report_.set_activity(runner_.report_.activity() + 1);
  }
  void OnWarning(const std::string& warning) override {
    Add(0, [&](graft::v1::JobEvent& event) { event.set_warning(warning); });
  }
  void OnCheckpoint(int64_t step, std::shared_ptr<const std::string> bytes) override {
    const std::lock_guard lock(runner_.mutex_);
    // A slow store falls behind: only the newest checkpoint matters.
    std::erase_if(runner_.to_store_, [](const ToStore& item) { return item.kept == nullptr; });
    runner_.to_store_.push_back({step, std::move(bytes), nullptr});
    runner_.changed_.notify_all();
  }
  void OnKept(std::shared_ptr<const engine::KeptCheckpoint> kept) override {
    const std::lock_guard lock(runner_.mutex_);
    runner_.to_store_.push_back({kept->step, nullptr, std::move(kept)});
    runner_.DropSuperseded();
    runner_.changed_.notify_all();
  }
  engine::DesiredState Desired() override {
    const std::lock_guard lock(runner_.mutex_);
    return runner_.desired_;
  }
  void OnDone(StatusOr<engine::TrainOutcome> outcome) override {
    trace_.Ended(outcome.status());
    const std::lock_guard lock(runner_.mutex_);
    runner_.outcome_ = std::move(outcome);
    runner_.changed_.notify_all();
  }

 private:
  template <typename Fill>
  void Add(int64_t step, Fill&& fill) {
    {
      const std::lock_guard lock(runner_.mutex_);
      fill(*runner_.report_.add_events());
      KeepNewest(*runner_.report_.mutable_events());
      if (step > runner_.report_.step()) runner_.report_.set_step(step);
    }
    runner_.context_.on_change();
  }

  JobRunner& runner_;
  TrainTrace trace_;
};

JobRunner::JobRunner(Context context, pb::Lease lease)
    : context_(std::move(context)),
      lease_(std::move(lease)),
      trace_(tracing::ParseTraceparent(lease_.traceparent(), lease_.tracestate())) {
  // Run holds its own wall; behind it only the report of the end is left.
  thread_ = StartThread([this] { Run(); }, [](const Status&) {});
}

JobRunner::~JobRunner() { thread_.join(); }

bool JobRunner::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

Status JobRunner::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool JobRunner::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

engine::DesiredState JobRunner::desired() const {
  const std::lock_guard lock(mutex_);
  return desired_;
}

bool JobRunner::ShallStart() {
  const std::lock_guard lock(mutex_);
  report_.set_activity(report_.activity() + 1);
  return desired_ == engine::DesiredState::kRun;
}

pb::LeaseStatus JobRunner::TakeReport() {
  const std::lock_guard lock(mutex_);
  under_way_ = true;
  return MoveReport();
}

pb::LeaseStatus JobRunner::MoveReport() {
  pb::LeaseStatus report = report_;
  report.set_tenant(lease_.tenant());
  report.set_job_id(lease_.job_id());
  report.set_token(lease_.token());
  report_.clear_events();
  report_.clear_checkpoint_key();
  report_.clear_checkpoint_sha256();
  report_.clear_checkpoint_step();
  return report;
}

void JobRunner::Arrived() {
  const std::lock_guard lock(mutex_);
  under_way_ = false;
  changed_.notify_all();
}

void JobRunner::PutBack(pb::LeaseStatus report) {
  const std::lock_guard lock(mutex_);
  under_way_ = false;
  changed_.notify_all();
  // The older events first, and the newer checkpoint if there is one.
  report.mutable_events()->MergeFrom(report_.events());
  report_.mutable_events()->Swap(report.mutable_events());
  KeepNewest(*report_.mutable_events());
  if (report_.checkpoint_key().empty() && !report.checkpoint_key().empty()) {
    report_.set_checkpoint_key(report.checkpoint_key());
    report_.set_checkpoint_sha256(report.checkpoint_sha256());
    report_.set_checkpoint_step(report.checkpoint_step());
  }
}

void JobRunner::SetDesired(graft::v1::JobState desired) {
  const std::lock_guard lock(mutex_);
  if (desired_ == engine::DesiredState::kRelease || lost_) return;
  if (desired == graft::v1::CANCELLED) desired_ = engine::DesiredState::kCancel;
  if (desired == graft::v1::PAUSED) desired_ = engine::DesiredState::kPause;
}

void JobRunner::SetLost() {
  const std::lock_guard lock(mutex_);
  lost_ = true;
  desired_ = engine::DesiredState::kCancel;
  changed_.notify_all();
}

void JobRunner::Release() {
  const std::lock_guard lock(mutex_);
  if (desired_ == engine::DesiredState::kRun) desired_ = engine::DesiredState::kRelease;
}

Status JobRunner::Start() {
  GRAFT_FAILPOINT("worker.after_lease_acquired");
  engine::TrainRequest request;
  request.job_id = lease_.job_id();
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(lease_.spec_json(), "job spec"));
  GRAFT_ASSIGN_OR_RETURN(spec::JobSpec spec, spec::FromJson(json));
  request.base = base_ = spec.base;
  request.base_fingerprint = lease_.base_fingerprint();
  request.tokenizer = lease_.tokenizer();
  request.dataset_sha256 = lease_.dataset_sha256();
  request.create_time = lease_.job_create_time().seconds();
  request.kept_through = lease_.kept_checkpoint_step();
  most_kept_ = spec.hyperparameters.keep_checkpoints;
  const auto dataset =
      context_.objects->Get(objects::DatasetKey(lease_.tenant(), lease_.dataset_sha256()),
                            lease_.dataset_sha256(), [this] { return ShallStart(); });
  if (!dataset.ok()) return OfStore(dataset.status());
  GRAFT_ASSIGN_OR_RETURN(datasets::IngestedDataset parsed, datasets::Parse(*dataset));
  request.dataset = std::make_shared<const datasets::IngestedDataset>(std::move(parsed));
  request.spec = std::make_shared<const spec::JobSpec>(std::move(spec));
  return StartFrom(std::move(request));
}

Status JobRunner::StartFrom(engine::TrainRequest request) {
  if (!lease_.checkpoint_key().empty()) {
    auto checkpoint = context_.objects->Get(lease_.checkpoint_key(), lease_.checkpoint_sha256(),
                                            [this] { return ShallStart(); });
    Status resumed = OfStore(checkpoint.status());
    if (checkpoint.ok()) {
      engine::TrainRequest resume = request;
      resume.checkpoint = std::move(*checkpoint);
      resumed = context_.engine->Train(std::move(resume), std::make_shared<Observer>(*this));
    }
    if (resumed.code() != StatusCode::kDataLoss &&
        (checkpoint.ok() || resumed.code() != StatusCode::kNotFound)) {
      return resumed;
    }
    // The same steps lead to the same result; only their time is lost.
    const std::lock_guard lock(mutex_);
    report_.add_events()->set_warning("the job begins anew: " + resumed.message());
  }
  if (!lease_.init_from_prefix().empty()) {
    auto files =
        context_.objects->GetVersion(lease_.init_from_prefix(), [this] { return ShallStart(); });
    if (!files.ok()) return OfStore(Status(files.status()).At("spec.init_from"));
    request.init_from = std::move(*files);
  }
  return context_.engine->Train(std::move(request), std::make_shared<Observer>(*this));
}

StatusOr<engine::TrainOutcome> JobRunner::AwaitOutcome() {
  for (;;) {
    ToStore next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return outcome_.has_value() || !to_store_.empty(); });
      if (to_store_.empty()) return std::move(*outcome_);
      next = std::move(to_store_.front());
      to_store_.pop_front();
      if (lost_) continue;
    }
    // Whatever it throws: the engine still trains and reports to this runner, so it can't end here.
    if (next.kept != nullptr) {
      const Status kept = Contained([&] { return Keep(*next.kept); });
      if (!kept.ok() && !lost()) return GiveUp(kept);
      continue;
    }
    const Status stored = Contained([&] { StoreCheckpoint(next.step, *next.checkpoint); });
    if (stored.ok()) continue;
    const std::lock_guard lock(mutex_);
    static_cast<void>(Contained([&] {
      report_.add_events()->set_warning("a checkpoint couldn't be stored: " + stored.message());
    }));
  }
}

void JobRunner::DropSuperseded() {
  int64_t count = 0, bytes = 0;
  for (const ToStore& item : to_store_) {
    if (item.kept == nullptr) continue;
    ++count;
    bytes += item.kept->artifact.bytes;
  }
  for (auto item = to_store_.begin(); count > most_kept_ && bytes > context_.max_waiting_bytes;) {
    if (item->kept == nullptr) {
      ++item;
      continue;
    }
    --count;
    bytes -= item->kept->artifact.bytes;
    item = to_store_.erase(item);
  }
}

StatusOr<engine::TrainOutcome> JobRunner::GiveUp(const Status& failure) {
  std::unique_lock lock(mutex_);
  // No checkpoint of a later step may count: what is resumed there wouldn't make this one again.
  desired_ = engine::DesiredState::kCancel;
  changed_.wait(lock, [this] { return outcome_.has_value(); });
  return failure;
}

void JobRunner::StoreCheckpoint(int64_t step, const std::string& bytes) {
  GRAFT_FAILPOINT("worker.before_checkpoint_stored");
  const std::string key =
      objects::CheckpointKey(lease_.tenant(), lease_.job_id(), lease_.token(), step);
  tracing::ActiveSpan storing = context_.tracer.StartBelow("store checkpoint", trace_);
  storing.Set("graft.step", step);
  const Status status = context_.objects->Put(key, bytes);
  storing.Fail(status);
  storing.End();
  GRAFT_FAILPOINT("worker.after_checkpoint_stored");
  {
    const std::lock_guard lock(mutex_);
    if (!status.ok()) {
      // The job goes on: it loses at most the time since its last stored checkpoint.
      report_.add_events()->set_warning("a checkpoint couldn't be stored: " + status.message());
    } else {
      report_.set_checkpoint_key(key);
      report_.set_checkpoint_sha256(Sha256Hex(bytes));
      report_.set_checkpoint_step(step);
      auto* stored = report_.add_events()->mutable_checkpoint();
      stored->set_step(step);
      stored->set_bytes(static_cast<int64_t>(bytes.size()));
    }
  }
  context_.on_change();
}

void JobRunner::Run() {
  // A second wall: telling of the first one's catch may throw again.
  if (const Status status = Contained([this] { RunToEnd(); }); !status.ok())
    static_cast<void>(Contained([&] { CompleteWith(status); }));
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  context_.on_change();
}

void JobRunner::RunToEnd() {
  tracing::ActiveSpan preparing = context_.tracer.StartBelow("prepare", trace_);
  const Status started = Contained([this] { return Start(); });
  preparing.Fail(started);
  preparing.End();
  if (started.ok()) return Finish(AwaitOutcome());
  const engine::DesiredState wish = desired();
  if (started.code() != StatusCode::kCancelled || wish == engine::DesiredState::kRun)
    return Finish(started);
  engine::TrainOutcome left;
  left.kind = engine::EndOf(wish);
  Finish(std::move(left));
}

void JobRunner::Finish(StatusOr<engine::TrainOutcome> outcome) {
  if (lost()) return;
  pb::CompleteLeaseRequest request;
  request.set_worker_id(context_.worker_id);
  using Outcome = pb::CompleteLeaseRequest;
  if (!outcome.ok()) return CompleteWith(outcome.status());
  *request.mutable_facts() = proto::ToProto(outcome->facts);
  switch (outcome->kind) {
    case engine::TrainOutcome::Kind::kPaused:
      request.set_outcome(Outcome::PAUSED);
      return Complete(std::move(request));
    case engine::TrainOutcome::Kind::kReleased:
      request.set_outcome(Outcome::RELEASED);
      return Complete(std::move(request));
    case engine::TrainOutcome::Kind::kCancelled:
      request.set_outcome(Outcome::CANCELLED);
      return Complete(std::move(request));
    case engine::TrainOutcome::Kind::kSucceeded:
      break;
  }
  Succeed(*outcome, std::move(request));
}

void JobRunner::CompleteWith(const Status& failure) {
  pb::CompleteLeaseRequest request;
  request.set_worker_id(context_.worker_id);
  request.set_outcome(IsWorthRetrying(failure) ? pb::CompleteLeaseRequest::RETRY
                                               : pb::CompleteLeaseRequest::FAILED);
  {
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    if (engine::IsRefusedForMemory(failure)) {
      // Nobody's fault. What it needs is known better now, and it comes back when that is free.
      request.set_outcome(pb::CompleteLeaseRequest::RELEASED);
      request.mutable_facts()->set_peak_memory_bytes(needed_bytes_);
    }
  }
  *request.mutable_error() = proto::ToErrorInfo(failure);
  request.mutable_error()->set_fault(std::string(FaultName(FaultOf(failure))));
  Complete(std::move(request));
}

void JobRunner::Complete(pb::CompleteLeaseRequest request) {
  {
    // What a heartbeat has under way comes first: behind the end nobody would take it.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return lost_ || !under_way_; });
    if (lost_) return;
    *request.mutable_lease() = MoveReport();
  }
  *request.mutable_memory() = TellMemory(*context_.engine);
  GRAFT_FAILPOINT("worker.before_complete");
  static_cast<void>(Patiently([&] {
    return context_.server
        ->Call(&ServerLink::Coordinator::Stub::CompleteLease, request, 10s, trace_)
        .status();
  }));
}

Status JobRunner::Patiently(const std::function<Status()>& call) {
  auto pause = 50ms;
  const auto give_up = std::chrono::steady_clock::now() + 2min;
  for (;;) {
    const Status status = call();
    const StatusCode code = status.code();
    const bool transient = code == StatusCode::kUnavailable ||
                           code == StatusCode::kDeadlineExceeded ||
                           code == StatusCode::kResourceExhausted;  // The store's disk is full.
    if (!transient || std::chrono::steady_clock::now() > give_up) return status;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [this] { return lost_; });
    if (lost_) return status;
    pause = std::min(pause * 2, std::chrono::milliseconds(2000));
  }
}

}  // namespace graft::worker::agent
