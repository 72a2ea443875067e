#include "worker/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/failpoint.h"
#include "worker/engine/artifact.h"
#include "worker/engine/base_cache.h"
#include "worker/engine/device.h"
#include "worker/engine/probe.h"
#include "worker/engine/serving/serving_queue.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

}  // namespace

class Engine::Impl {
 public:
  Impl(EngineOptions options, at::Device device, Engine::Probe probe)
      : options_(std::move(options)),
        device_(device),
        probe_(std::move(probe)),
        bases_(options_.bases, options_.cache, device, options_.max_base_bytes),
        adapters_(options_.max_adapter_bytes),
        serving_(options_.max_waiting) {}

  void Start();
  void Stop();

  Status Train(TrainRequest request, std::shared_ptr<TrainObserver> observer);
  StatusOr<LoadResult> Load(LoadRequest request);
  void Classify(ClassifyRequest request, Callback<ClassifyResult> done);
  void Embed(EmbedRequest request, Callback<EmbedResult> done);
  void Evaluate(EvaluateRequest request, Callback<Evaluation> done);
  EngineFigures figures() const;

  at::ScalarType Resolve(spec::Precision precision) const {
    if (precision == spec::Precision::kAuto) return facts_.fast_bf16 ? at::kBFloat16 : at::kFloat;
    return precision == spec::Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  }

  DeviceFacts facts_;
  const EngineOptions options_;
  const at::Device device_;
  const Engine::Probe probe_;
  BaseCache bases_;
  AdapterCache adapters_;

 private:
  struct TrainJob {
    std::unique_ptr<TrainRun> run;
    std::shared_ptr<TrainObserver> observer;
    SteadyClock::time_point last_checkpoint = SteadyClock::now();
  };

  /// Something between two training steps; exactly one of the two is called.
  struct LongTask {
    std::function<void(const Yield&)> run;
    std::function<void(const Status&)> fail;
  };

  void Run();
  bool Idle() const { return tasks_.empty() && new_jobs_.empty() && serving_.empty(); }
  /// What runs between two layers: requests, and short tasks.
  void ServeAndRunTasks();
  /// One step of the next job; true if there was one.
  bool AdvanceTraining();
  /// One turn of `job`; its end, if this was the last.
  std::optional<StatusOr<TrainOutcome>> Advance(TrainJob& job);
  Status StoreCheckpoint(TrainJob& job);
  /// Puts `task` on the engine's thread, behind requests and between layers.
  void Post(std::function<void()> task);
  void PushOrFail(std::shared_ptr<ServingRequest> request);

  ServingQueue serving_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::deque<LongTask> long_tasks_;
  std::deque<TrainJob> new_jobs_;
  bool stopping_ = false;
  std::list<TrainJob> jobs_;  ///< Engine's thread only; the front is next.
  std::atomic<int64_t> train_tokens_{0}, train_steps_{0}, training_jobs_{0}, served_inputs_{0}, served_passes_{0};
  std::thread thread_;
};

void Engine::Impl::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Engine::Impl::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Engine::Impl::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_all();
}

void Engine::Impl::ServeAndRunTasks() {
  // Autograd of a training layer may be on around us; nothing here may join its graph.
  const at::NoGradGuard no_grad;
  serving_.ServeWaiting([this](int64_t rows) {
    ++served_passes_;
    if (probe_.serving_pass) probe_.serving_pass(rows);
  });
  for (;;) {
    std::function<void()> task;
    {
      const std::lock_guard lock(mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

void Engine::Impl::Run() {
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
    if (long_task.run) long_task.run(yield);
    AdvanceTraining();
  }
  // Nobody may wait forever for a thread that has gone.
  const Status gone = UnavailableError("the worker is stopping");
  serving_.FailAll(gone);
  for (LongTask& task : long_tasks_) task.fail(gone);
  long_tasks_.clear();
  for (TrainJob& job : jobs_) job.observer->OnDone(gone);
  jobs_.clear();
  for (TrainJob& job : new_jobs_) job.observer->OnDone(gone);
  new_jobs_.clear();
}

bool Engine::Impl::AdvanceTraining() {
  if (jobs_.empty()) return false;
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
  return true;
}

Status Engine::Impl::StoreCheckpoint(TrainJob& job) {
  job.last_checkpoint = SteadyClock::now();
  return Guarded([&] {
    auto bytes = std::make_shared<const std::string>(job.run->Checkpoint());
    job.observer->OnCheckpoint(job.run->step(), std::move(bytes));
    return OkStatus();
  });
}

std::optional<StatusOr<TrainOutcome>> Engine::Impl::Advance(TrainJob& job) {
  const Yield yield = [this] { ServeAndRunTasks(); };
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
  if (job.run->done()) return Guarded([&] { return job.run->Finish(*job.observer, yield); });
  if (hp.max_run_seconds > 0 && job.run->seconds() > static_cast<double>(hp.max_run_seconds)) {
    return FailedPreconditionError("the job trained longer than its max_run_seconds of " +
                                   std::to_string(hp.max_run_seconds) + "; it was at step " +
                                   std::to_string(job.run->step()))
        .At("hyperparameters.max_run_seconds", "TOO_SLOW");
  }
  const auto start = SteadyClock::now();
  if (Status status = Guarded([&] { return job.run->Step(*job.observer, yield); }); !status.ok()) {
    return status;
  }
  ++train_steps_;
  train_tokens_ += job.run->last_step_tokens();
  if (probe_.train_step) probe_.train_step(SecondsSince(start));
  if (probe_.train_loss) {
    probe_.train_loss(job.run->input().request.spec->adapter, job.run->last_step_loss());
  }
  GRAFT_FAILPOINT("worker.after_step");
  if (!job.run->done() && SecondsSince(job.last_checkpoint) >= static_cast<double>(hp.checkpoint_seconds)) {
    if (Status status = StoreCheckpoint(job); !status.ok()) return status;
  }
  return std::nullopt;
}

Status Engine::Impl::Train(TrainRequest request, std::shared_ptr<TrainObserver> observer) {
  const spec::JobSpec& spec = *request.spec;
  GRAFT_ASSIGN_OR_RETURN(LoadedBase on, bases_.Get(request.base, Resolve(spec.hyperparameters.precision)));
  auto input = std::make_shared<TrainInput>();
  input->base = on.base;
  input->model = on.model;
  const int max_length = spec.hyperparameters.max_length;
  const datasets::IngestedDataset& data = *request.dataset;
  const auto tokenize = [&](const std::vector<datasets::Example>& examples) {
    return Tokenize(examples, data.has_pair, on.base->tokenizer(), max_length);
  };
  input->train = tokenize(data.train);
  input->validation = tokenize(data.validation);
  input->test = tokenize(data.test);
  if (input->train.size() == 0) return InvalidArgumentError("the dataset has no training examples");
  for (const TokenizedSplit* split : {&input->train, &input->validation, &input->test}) {
    if (std::any_of(split->labels.begin(), split->labels.end(), [](int32_t label) { return label < 0; })) {
      return InvalidArgumentError("the dataset has examples without a label; training needs one for each")
          .At("dataset.label_column", "LABEL_MISSING");
    }
  }
  input->request = std::move(request);
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<TrainRun> run, Guarded([&] { return TrainRun::Create(input); }));
  observer->OnStarted(run->precision(), run->step());
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return UnavailableError("the worker is stopping");
    new_jobs_.push_back({std::move(run), std::move(observer)});
    ++training_jobs_;
  }
  wake_.notify_all();
  return OkStatus();
}

StatusOr<LoadResult> Engine::Impl::Load(LoadRequest request) {
  const auto start = SteadyClock::now();
  GRAFT_ASSIGN_OR_RETURN(const ArtifactHeader header, ReadArtifactHeader(request.files));
  GRAFT_ASSIGN_OR_RETURN(const LoadedBase on, bases_.Get(request.base, Resolve(header.precision)));
  const std::string& fingerprint = on.base->fingerprint();
  for (const std::string& expected : {request.base_fingerprint, header.base_fingerprint}) {
    if (!expected.empty() && expected != fingerprint) {
      return FailedPreconditionError("the version was made for a base with fingerprint " + expected.substr(0, 12) +
                                     ", but " + request.base + " has " + fingerprint.substr(0, 12))
          .AddDetail({"BASE_MISMATCH", {}, 0, {}, {}});
    }
  }
  StatusOr<LoadedArtifact> loaded = Guarded([&] { return ReadArtifact(request.files, *on.base); });
  if (!loaded.ok()) return loaded.status();
  if (loaded->sha256 != request.version) {
    return DataLossError("the version's files have the hash " + loaded->sha256.substr(0, 12) + ", not " +
                         request.version.substr(0, 12) + "; they were changed after they were stored");
  }
  auto version = std::make_shared<ResidentVersion>();
  version->id = request.version;
  version->on = on;
  version->label_names = std::make_shared<const std::vector<std::string>>(std::move(loaded->label_names));
  version->max_length = loaded->max_length;
  loaded->adapter->PrepareServing(on.base->compute());
  const at::Tensor flat = loaded->adapter->parameters().flat_P();
  version->bytes = static_cast<int64_t>(flat.nbytes());
  for (const methods::TensorSpec& spec : loaded->adapter->parameters().specs()) {
    version->tensor_bytes += static_cast<int64_t>(loaded->adapter->parameters().Get(spec.name).nbytes());
  }
  version->adapter = std::move(loaded->adapter);
  LoadResult result;
  result.base_fingerprint = fingerprint;
  result.bytes = version->bytes;
  if (request.prove) {
    auto proof = std::make_shared<std::promise<Status>>();
    Post([proof, version, probe = loaded->probe] {
      proof->set_value(Guarded([&] { return CheckProbe(probe, *version); }));
    });
    GRAFT_RETURN_IF_ERROR(proof->get_future().get());
    result.proved = !loaded->probe.is_null();
  }
  adapters_.Put(version);
  result.seconds = SecondsSince(start);
  if (probe_.adapter_load) probe_.adapter_load(result.seconds);
  return result;
}

void Engine::Impl::PushOrFail(std::shared_ptr<ServingRequest> request) {
  served_inputs_ += static_cast<int64_t>(request->inputs.size());
  const Status status = serving_.Push(request);
  if (!status.ok()) return std::exchange(request->done, nullptr)(status);
  // The lock orders this push against the thread's check for work, so that its wake-up can't be lost.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

namespace {

Status CheckInputs(const std::vector<TextInput>& inputs) {
  if (inputs.empty()) return InvalidArgumentError("no input text").At("inputs");
  if (inputs.size() > 256) {
    return InvalidArgumentError(std::to_string(inputs.size()) + " inputs in one request; the limit is 256").At("inputs");
  }
  return OkStatus();
}

void EncodeInputs(const std::vector<TextInput>& inputs, const tokenizers::Tokenizer& tokenizer, int max_length,
                  ServingRequest& request) {
  const tokenizers::EncodeOptions options{.max_length = max_length};
  for (const TextInput& input : inputs) {
    request.inputs.push_back(input.text_pair.empty() ? tokenizer.Encode(input.text, options)
                                                     : tokenizer.EncodePair(input.text, input.text_pair, options));
    request.truncated.push_back(static_cast<int>(request.inputs.back().ids.size()) >= max_length);
  }
}

Status NotResident() {
  return NotFoundError("the version isn't resident on this worker").AddDetail({"VERSION_NOT_RESIDENT", {}, 0, {}, {}});
}

std::vector<float> SoftmaxOf(const std::vector<float>& logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  std::vector<float> p(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) sum += p[i] = std::exp(logits[i] - largest);
  for (float& value : p) value = static_cast<float>(value / sum);
  return p;
}

}  // namespace

void Engine::Impl::Classify(ClassifyRequest request, Callback<ClassifyResult> done) {
  if (const Status status = CheckInputs(request.inputs); !status.ok()) return done(status);
  auto version = adapters_.Find(request.version);
  if (version == nullptr) return done(NotResident());
  auto serving = std::make_shared<ServingRequest>();
  serving->version = version;
  serving->on = version->on;
  EncodeInputs(request.inputs, version->on.base->tokenizer(), version->max_length, *serving);
  // The queue drops `done` when it has called it, which ends the circle of request and callback.
  serving->done = [serving = serving.get(), version, done = std::move(done)](Status status) {
    if (!status.ok()) return done(status);
    ClassifyResult result;
    result.label_names = version->label_names;
    result.base_fingerprint = version->on.base->fingerprint();
    for (size_t i = 0; i < serving->inputs.size(); ++i) {
      Prediction prediction;
      prediction.logits = std::move(serving->outputs[i]);
      prediction.probabilities = SoftmaxOf(prediction.logits);
      prediction.tokens = static_cast<int32_t>(serving->inputs[i].ids.size());
      prediction.truncated = serving->truncated[i];
      result.predictions.push_back(std::move(prediction));
    }
    done(std::move(result));
  };
  PushOrFail(std::move(serving));
}

void Engine::Impl::Embed(EmbedRequest request, Callback<EmbedResult> done) {
  if (const Status status = CheckInputs(request.inputs); !status.ok()) return done(status);
  auto serving = std::make_shared<ServingRequest>();
  int max_length = 0;
  if (!request.version.empty()) {
    serving->version = adapters_.Find(request.version);
    if (serving->version == nullptr) return done(NotResident());
    serving->on = serving->version->on;
    max_length = serving->version->max_length;
  } else {
    StatusOr<LoadedBase> on = bases_.Get(request.base, Resolve(spec::Precision::kAuto));
    if (!on.ok()) return done(on.status());
    serving->on = *on;
    max_length = static_cast<int>(std::min<int64_t>(on->base->layout().max_positions, 512));
  }
  serving->embed = true;
  serving->normalize = request.normalize || serving->on.base->normalize_embeddings();
  EncodeInputs(request.inputs, serving->on.base->tokenizer(), max_length, *serving);
  serving->done = [serving = serving.get(), done = std::move(done)](Status status) {
    if (!status.ok()) return done(status);
    EmbedResult result;
    result.base_fingerprint = serving->on.base->fingerprint();
    for (size_t i = 0; i < serving->inputs.size(); ++i) {
      result.embeddings.push_back({std::move(serving->outputs[i]),
                                   static_cast<int32_t>(serving->inputs[i].ids.size()), serving->truncated[i]});
    }
    done(std::move(result));
  };
  PushOrFail(std::move(serving));
}

void Engine::Impl::Evaluate(EvaluateRequest request, Callback<Evaluation> done) {
  auto version = adapters_.Find(request.version);
  if (version == nullptr) return done(NotResident());
  if (request.dataset->train.empty()) return done(InvalidArgumentError("the dataset has no examples"));
  // The data numbers its own labels; the version's numbers count.
  std::vector<datasets::Example> examples = request.dataset->train;
  for (datasets::Example& example : examples) {
    if (example.label < 0) {
      return done(InvalidArgumentError("the data has examples without a label; an evaluation needs one for each")
                      .At("dataset.label_column", "LABEL_MISSING"));
    }
    const std::string& name = request.dataset->label_names[static_cast<size_t>(example.label)];
    const auto found = std::find(version->label_names->begin(), version->label_names->end(), name);
    if (found == version->label_names->end()) {
      return done(InvalidArgumentError("the data has the label \"" + name + "\", which the adapter doesn't know")
                      .At("dataset.label_column", "UNKNOWN_LABEL"));
    }
    example.label = static_cast<int32_t>(found - version->label_names->begin());
  }
  auto split = std::make_shared<TokenizedSplit>(
      Tokenize(examples, request.dataset->has_pair, version->on.base->tokenizer(), version->max_length));
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return done(UnavailableError("the worker is stopping"));
    long_tasks_.push_back({[version, split, done](const Yield& yield) {
                             done(Guarded([&] {
                               return engine::Evaluate(*version->on.model, *version->on.base, *version->adapter,
                                                       *split, *version->label_names, yield);
                             }));
                           },
                           [done](const Status& status) { done(status); }});
  }
  wake_.notify_all();
}

EngineFigures Engine::Impl::figures() const {
  const AdapterCache::Figures adapters = adapters_.figures();
  int64_t base_bytes = 0;
  for (const auto& base : bases_.Resident()) base_bytes += base->bytes();
  return {.train_tokens = train_tokens_,
          .train_steps = train_steps_,
          .training_jobs = training_jobs_,
          .requests_waiting = serving_.waiting(),
          .adapters_resident = adapters.count,
          .adapter_bytes = adapters.bytes,
          .adapter_tensor_bytes = adapters.tensor_bytes,
          .lookups_hit = adapters.hits,
          .lookups_miss = adapters.misses,
          .served_inputs = served_inputs_,
          .served_passes = served_passes_,
          .base_bytes = base_bytes,
          .memory_bytes = UsedMemoryBytes(device_),
          .peak_memory_bytes = PeakMemoryBytes(device_)};
}

StatusOr<std::unique_ptr<Engine>> Engine::Create(EngineOptions options, Probe probe) {
  GRAFT_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  std::error_code error;
  if (!std::filesystem::is_directory(options.bases, error)) {
    return NotFoundError("--bases " + options.bases.string() +
                         " is not a folder; it must hold one sub-folder a HuggingFace model");
  }
  return Guarded([&]() -> StatusOr<std::unique_ptr<Engine>> {
    ConfigureTorch(options.threads);
    auto impl = std::make_unique<Impl>(std::move(options), device, std::move(probe));
    DeviceFacts& facts = impl->facts_;
    facts.device = device.str();
    facts.name = DeviceName(device);
    facts.memory_bytes = TotalMemoryBytes(device);
    facts.threads = at::get_num_threads();
    facts.fast_bf16 = HasFastBf16(device);
    facts.fp32_gflops = MeasureGflops(device, at::kFloat);
    facts.bf16_gflops = facts.fast_bf16 ? MeasureGflops(device, at::kBFloat16) : facts.fp32_gflops;
    impl->Start();
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
  });
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { impl_->Stop(); }
DeviceFacts Engine::device_facts() const { return impl_->facts_; }
std::vector<std::string> Engine::BaseIds() const { return impl_->bases_.Ids(); }

std::vector<ResidentBase> Engine::resident_bases() const {
  std::vector<ResidentBase> result;
  for (const auto& base : impl_->bases_.Resident()) {
    result.push_back({base->id(), base->fingerprint(), base->layout().family, base->layout().ParameterCount(),
                      base->bytes()});
  }
  return result;
}

EngineFigures Engine::figures() const { return impl_->figures(); }
Status Engine::Train(TrainRequest request, std::shared_ptr<TrainObserver> observer) {
  return impl_->Train(std::move(request), std::move(observer));
}
StatusOr<LoadResult> Engine::Load(LoadRequest request) { return impl_->Load(std::move(request)); }
void Engine::Unload(const VersionId& version) { impl_->adapters_.Erase(version); }
bool Engine::IsResident(const VersionId& version) const { return impl_->adapters_.Has(version); }

StatusOr<std::string> Engine::BaseFingerprint(const std::string& base) {
  GRAFT_ASSIGN_OR_RETURN(const LoadedBase on, impl_->bases_.Get(base, impl_->Resolve(spec::Precision::kAuto)));
  return on.base->fingerprint();
}

void Engine::Classify(ClassifyRequest request, Callback<ClassifyResult> done) {
  impl_->Classify(std::move(request), std::move(done));
}
void Engine::Embed(EmbedRequest request, Callback<EmbedResult> done) {
  impl_->Embed(std::move(request), std::move(done));
}
void Engine::Evaluate(EvaluateRequest request, Callback<Evaluation> done) {
  impl_->Evaluate(std::move(request), std::move(done));
}

}  // namespace graft::worker::engine
