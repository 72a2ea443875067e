#include "worker/engine/engine.h"

#include <algorithm>

#include "common/base/failpoint.h"
#include "common/templates/chat_files.h"
#include "common/templates/clock.h"
#include "worker/engine/artifacts/artifact.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/device/device.h"
#include "worker/engine/engine_impl.h"
#include "worker/engine/kernels/products.h"
#include "worker/engine/training/train_run.h"

namespace graft::worker::engine {

namespace {

/// A job's data was counted, and its spec checked, against one state of its base.
Status CheckBaseIsAsChecked(const TrainRequest& request, const Base& base) {
  const auto refuse = [&](const std::string& what, const std::string& was, const std::string& is) {
    return FailedPreconditionError("the base " + base.id() +
                                   " was changed after the job was submitted: " + what +
                                   " the fingerprint " + is.substr(0, 12) + " now, not " +
                                   was.substr(0, 12) + "; submit the job again to train on it")
        .AddDetail({"BASE_CHANGED", "base", 0, {}, {}});
  };
  if (!request.base_fingerprint.empty() && request.base_fingerprint != base.fingerprint())
    return refuse("its weights have", request.base_fingerprint, base.fingerprint());
  const std::string& tokenizer = base.tokenizer().fingerprint();
  if (!request.tokenizer.empty() && request.tokenizer != tokenizer)
    return refuse("its tokenizer has", request.tokenizer, tokenizer);
  return OkStatus();
}

int64_t DefaultMemoryBytes(at::Device device) {
  const int64_t all = TotalMemoryBytes(device);
  return device.is_cpu() ? all / 5 * 4 : all / 10 * 9;
}

/// Of the budget, kept for passes: enough for the largest of most models, and for small budgets no
/// more than they can spare.
int64_t BytesForPasses(int64_t budget) { return std::min(budget / 8, int64_t{512} << 20); }

}  // namespace

Engine::Impl::Impl(EngineOptions options, at::Device device, Engine::Probe probe)
    : options_(std::move(options)),
      device_(device),
      probe_(std::move(probe)),
      ledger_(Ledger::Create({.budget = options_.memory_bytes,
                              .for_passes = BytesForPasses(options_.memory_bytes),
                              .attainable = [device] { return AttainableMemoryBytes(device); }})),
      adapters_(options_.max_adapter_bytes),
      bases_(options_.bases, device, options_.max_base_bytes, ledger_,
             {.drop_idle = [this](const Base& base,
                                  int64_t holders) { adapters_.EraseIdle(base, holders); },
              .drop_all = [this](const Base& base) { adapters_.EraseOn(base); },
              .count_idle = [this](const Base& base) { return adapters_.NumIdleOn(base); }}),
      serving_(options_.max_waiting, {.seconds = options_.pass_seconds}, ledger_,
               probe_.serving_pass),
      generation_({.cache_bytes = options_.max_kv_bytes, .max_waiting = options_.max_waiting},
                  ledger_),
      training_(device, {.on_step = probe_.train_step, .on_loss = probe_.train_loss}),
      loop_({.foreground = {&serving_, &generation_}, .background = {&evaluations_, &training_}}) {
  // An adapter comes back in milliseconds, a base in seconds.
  ledger_->SetReclaim([this](int64_t bytes) {
    const int64_t of_adapters = adapters_.EvictIdle(bytes);
    if (of_adapters >= bytes) return;
    if (bases_.EvictIdle(bytes - of_adapters) > 0) ReleaseCachedMemory(device_);
  });
}

StatusOr<std::shared_ptr<TrainInput>> Engine::Impl::ReadInput(
    const TrainRequest& request, const std::function<Status()>& between, TrainObserver& observer) {
  const spec::JobSpec& spec = *request.spec;
  at::ScalarType compute = Resolve(spec.hyperparameters.precision);
  if (!request.checkpoint.empty()) {
    // What AUTO meant where the job began is what it means to its end.
    const StatusOr<RunIdentity> began = ReadRunIdentity(request.checkpoint);
    if (!began.ok()) return began.status();
    compute = began->precision == "bf16" ? at::kBFloat16 : at::kFloat;
  }
  const StatusOr<LoadedBase> on = bases_.Get(request.base, compute, between);
  if (IsMemoryFull(on.status())) TellNeed(request, compute, between, observer);
  GRAFT_RETURN_IF_ERROR(on.status());
  GRAFT_RETURN_IF_ERROR(CheckBaseIsAsChecked(request, *on->base));
  GRAFT_ASSIGN_OR_RETURN(std::shared_ptr<TrainInput> input, ReadTexts(request, on->base, between));
  input->model = on->model;
  input->ledger = ledger_;
  return input;
}

StatusOr<std::shared_ptr<TrainInput>> Engine::Impl::ReadTexts(
    const TrainRequest& request, std::shared_ptr<const Base> on,
    const std::function<Status()>& between) {
  const spec::JobSpec& spec = *request.spec;
  auto input = std::make_shared<TrainInput>();
  input->base = std::move(on);
  const Base& base = *input->base;
  const int max_length = spec.hyperparameters.max_length;
  const datasets::IngestedDataset& data = *request.dataset;
  if (data.has_pair) GRAFT_RETURN_IF_ERROR(base.CheckKnowsPairs("dataset.text_columns"));
  GRAFT_FAILPOINT("worker.before_tokenize");
  tasks::TaskSpec task = spec.task;
  task.label_names = data.label_names;
  input->task = MakeTask(std::move(task));
  // Data of another form than conversations changes nothing of how the version will chat.
  input->chat_template = spec.task.language.chat_template;
  GRAFT_ASSIGN_OR_RETURN(
      language::ChatOptions chat,
      ChatOf(data, base, input->chat_template, templates::ClockAt(request.create_time)));
  if (!chat.chat_template.empty()) input->chat_template = chat.chat_template;
  GRAFT_ASSIGN_OR_RETURN(input->samples, PlanSamples(spec, base, data.shape, chat));
  const auto encoder = input->task->NewEncoder({.dataset = data,
                                                .tokenizer = base.tokenizer(),
                                                .max_length = max_length,
                                                .causal = base.layout().causal,
                                                .chat = std::move(chat)});
  GRAFT_ASSIGN_OR_RETURN(input->train, Tokenize(data.train, *encoder, between));
  GRAFT_ASSIGN_OR_RETURN(input->validation, Tokenize(data.validation, *encoder, between));
  GRAFT_ASSIGN_OR_RETURN(input->test, Tokenize(data.test, *encoder, between));
  if (input->train.size() == 0) {
    return InvalidArgumentError("the dataset has no training example that has something to learn")
        .At("dataset.train", "NOTHING_TO_LEARN");
  }
  return input;
}

void Engine::Impl::TellNeed(const TrainRequest& request, at::ScalarType compute,
                            const std::function<Status()>& between, TrainObserver& observer) const {
  const auto base = Base::Describe(request.base, options_.bases / request.base, compute, device_);
  if (!base.ok()) return;
  const auto input = ReadTexts(request, *base, between);
  if (!input.ok()) return;
  (*input)->request.spec = request.spec;
  const DataSchedule schedule((*input)->train, request.spec->hyperparameters);
  const BaseMemory memory = (*base)->memory();
  // Reading may use what is kept for passes, which the most that a job can have is without.
  const int64_t to_read = memory.tensors + memory.loading - ledger_->for_passes();
  observer.OnMemory(std::max(to_read, LeastNeed(**input, LargestPassOf(**input, schedule))));
}

Status Engine::Impl::Train(TrainRequest request, std::shared_ptr<TrainObserver> observer) {
  bases_.DropChanged();
  DesiredState desired = DesiredState::kRun;
  const auto between = [&]() -> Status {
    observer->OnActivity();
    desired = observer->Desired();
    if (desired == DesiredState::kRun) return OkStatus();
    return CancelledError("the job is not to begin any more");
  };
  const StatusOr<std::shared_ptr<TrainInput>> read = ReadInput(request, between, *observer);
  if (desired != DesiredState::kRun) {
    TrainOutcome left;
    left.kind = EndOf(desired);
    observer->OnDone(std::move(left));
    return OkStatus();
  }
  GRAFT_RETURN_IF_ERROR(read.status());
  const std::shared_ptr<TrainInput>& input = *read;
  input->request = std::move(request);
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<TrainRun> run,
                         Guarded([&] { return TrainRun::Create(input, *observer); }));
  // What only the beginning needed: texts and checkpoint may be larger than all that training
  // keeps.
  const datasets::IngestedDataset& data = *input->request.dataset;
  auto without_examples = std::make_shared<datasets::IngestedDataset>();
  without_examples->label_names = data.label_names;
  without_examples->has_pair = data.has_pair;
  without_examples->shape = data.shape;
  input->request.dataset = std::move(without_examples);
  input->request.checkpoint = {};
  input->request.init_from = {};
  observer->OnStarted(run->precision(), run->step());
  GRAFT_RETURN_IF_ERROR(training_.Add(std::move(run), std::move(observer)));
  loop_.Wake();
  return OkStatus();
}

StatusOr<language::ChatOptions> Engine::Impl::ChatOf(const datasets::IngestedDataset& data,
                                                     const Base& base,
                                                     const std::string& chat_template,
                                                     std::chrono::sys_seconds now) {
  language::ChatOptions chat;
  if (data.shape != datasets::Shape::kMessages) return chat;
  GRAFT_ASSIGN_OR_RETURN(const templates::ChatFiles files,
                         StatusOr<templates::ChatFiles>(base.chat_files()));
  chat.now = now;
  chat.special_tokens = files.special_tokens;
  chat.chat_template = chat_template;
  if (!chat.chat_template.empty()) return chat;
  GRAFT_ASSIGN_OR_RETURN(chat.chat_template, templates::ChooseTemplate(files, false));
  return chat;
}

EngineFigures Engine::Impl::figures() const {
  EngineFigures figures;
  figures.train_tokens = training_.tokens();
  figures.train_rows = training_.rows();
  figures.train_steps = training_.steps();
  figures.training_jobs = training_.jobs();
  figures.requests_waiting = serving_.waiting();
  figures.served_inputs = serving_.inputs();
  figures.served_passes = serving_.passes();
  figures.generations = generation_.requests();
  figures.prompt_tokens = generation_.prompt_tokens();
  figures.generated_tokens = generation_.generated_tokens();
  figures.preemptions = generation_.preemptions();
  figures.kv_bytes = generation_.cache_bytes();
  figures.kv_used_bytes = generation_.used_cache_bytes();
  const AdapterCache::Figures adapters = adapters_.figures();
  figures.adapters_resident = adapters.count;
  figures.adapter_bytes = adapters.bytes;
  figures.adapter_tensor_bytes = adapters.tensor_bytes;
  figures.lookups_hit = adapters.hits;
  figures.lookups_miss = adapters.misses;
  const Ledger::Figures ledger = ledger_->figures();
  figures.memory = {.budget = ledger.budget,
                    .free = ledger.free,
                    .bases = ledger.of(MemoryKind::kBase),
                    .adapters = ledger.of(MemoryKind::kAdapter),
                    .keys_values = ledger.of(MemoryKind::kKeysValues),
                    .training = ledger.of(MemoryKind::kTraining),
                    .passes = ledger.of(MemoryKind::kScratch),
                    .peak = ledger.peak};
  figures.memory_bytes = UsedMemoryBytes(device_);
  figures.peak_memory_bytes = PeakMemoryBytes(device_);
  return figures;
}

JobMemory Engine::Impl::job_memory() const {
  JobMemory memory{.most_bytes = ledger_->capacity(), .bases_in_use = {}};
  int64_t idle = adapters_.idle_bytes();
  for (BaseCache::Use& use : bases_.Uses()) {
    if (use.is_idle) {
      idle += use.bytes;
    } else {
      memory.bases_in_use.push_back({std::move(use.id), use.compute == at::kBFloat16, use.bytes});
    }
  }
  memory.free_bytes = std::min(ledger_->FreeIfLeft(idle), memory.most_bytes);
  return memory;
}

Status CheckKeyValueBytes(int64_t bytes) {
  if (bytes >= 1) return OkStatus();
  return InvalidArgumentError(
      "--kv-memory must be at least 1: what is generated over a base needs keys and values");
}

StatusOr<std::unique_ptr<Engine>> Engine::Create(EngineOptions options, Probe probe) {
  GRAFT_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  std::error_code error;
  if (!std::filesystem::is_directory(options.bases, error)) {
    return NotFoundError("--bases " + options.bases.string() +
                         " is not a folder; it must hold one sub-folder a HuggingFace model");
  }
  GRAFT_RETURN_IF_ERROR(CheckKeyValueBytes(options.max_kv_bytes));
  return Guarded([&]() -> StatusOr<std::unique_ptr<Engine>> {
    ConfigureTorch(options.threads);
    if (options.memory_bytes <= 0) options.memory_bytes = DefaultMemoryBytes(device);
    if (options.max_base_bytes <= 0) options.max_base_bytes = options.memory_bytes / 2;
    if (device.is_cpu()) LimitCpuMemory(options.memory_bytes);
    auto impl = std::make_unique<Impl>(std::move(options), device, std::move(probe));
    DeviceFacts& facts = impl->facts_;
    facts.device = device.str();
    facts.name = DeviceName(device);
    facts.memory_bytes = TotalMemoryBytes(device);
    facts.threads = at::get_num_threads();
    facts.fast_bf16 = HasFastBf16(device);
    facts.rounds_sums = RoundsSums(at::kBFloat16, device);
    facts.fp32_gflops = MeasureGflops(device, at::kFloat);
    facts.bf16_gflops = facts.fast_bf16 ? MeasureGflops(device, at::kBFloat16) : facts.fp32_gflops;
    impl->loop_.Start();
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
  });
}

bool IsDeviceFailure(const Status& status) {
  return !status.details().empty() && status.details().front().reason == "DEVICE_FAILED";
}

bool IsRefusedForMemory(const Status& status) { return IsMemoryFull(status); }

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { impl_->loop_.Stop(); }
DeviceFacts Engine::device_facts() const { return impl_->facts_; }
std::vector<std::string> Engine::BaseIds() const { return impl_->bases_.Ids(); }
void Engine::RefreshBases() { impl_->bases_.DropChanged(); }

std::vector<ResidentBase> Engine::resident_bases() const {
  std::vector<ResidentBase> result;
  for (const auto& base : impl_->bases_.Resident()) {
    result.push_back({base->id(), base->fingerprint(), base->layout().family,
                      base->layout().ParameterCount(), base->bytes()});
  }
  return result;
}

EngineFigures Engine::figures() const { return impl_->figures(); }
JobMemory Engine::job_memory() const { return impl_->job_memory(); }
Status Engine::Train(TrainRequest request, std::shared_ptr<TrainObserver> observer) {
  return Guarded([&] { return impl_->Train(std::move(request), std::move(observer)); });
}
bool Engine::HoldsBase(const std::string& base) const {
  return impl_->bases_.Holds(base, impl_->Resolve(impl_->options_.base_precision));
}
bool Engine::HoldsSomeFormOf(const std::string& base) const {
  return std::ranges::any_of(impl_->bases_.Resident(),
                             [&](const auto& resident) { return resident->id() == base; });
}
bool Engine::HoldsBaseFor(const LoadRequest& request) const {
  const StatusOr<ArtifactHeader> header = ReadArtifactHeader(request.files);
  return !header.ok() || impl_->bases_.Holds(request.base, impl_->Resolve(header->precision));
}
StatusOr<LoadResult> Engine::Load(LoadRequest request) {
  return Guarded([&] { return impl_->Load(std::move(request)); });
}
void Engine::Unload(const VersionId& version) { impl_->adapters_.Erase(version); }
bool Engine::IsResident(const VersionId& version) const { return impl_->adapters_.Has(version); }

StatusOr<std::string> Engine::BaseFingerprint(const std::string& base) {
  GRAFT_ASSIGN_OR_RETURN(const LoadedBase on,
                         impl_->bases_.Get(base, impl_->Resolve(impl_->options_.base_precision)));
  return on.base->fingerprint();
}

void Engine::Classify(ClassifyRequest request, Callback<ClassifyResult> done) {
  impl_->Classify(std::move(request), std::move(done));
}
void Engine::Generate(GenerateRequest request, std::function<void(GeneratedPiece)> on_piece,
                      Callback<GenerateResult> done) {
  impl_->Generate(std::move(request), std::move(on_piece), std::move(done));
}
void Engine::Score(ScoreRequest request, Callback<ScoreResult> done) {
  impl_->Score(std::move(request), std::move(done));
}
StatusOr<ChatForm> Engine::ChatFormOf(const std::string& base, const VersionId& version) {
  return Guarded([&] { return impl_->ChatFormOf(base, version); });
}
void Engine::Embed(EmbedRequest request, Callback<EmbedResult> done) {
  impl_->Embed(std::move(request), std::move(done));
}
void Engine::Evaluate(EvaluateRequest request, Callback<Evaluation> done) {
  impl_->Evaluate(std::move(request), std::move(done));
}

}  // namespace graft::worker::engine
