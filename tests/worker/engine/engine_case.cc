#include "tests/worker/engine/engine_case.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine::testing {
namespace {

using graft::testing::Must;

constexpr const char* kBase = "base-bert";

datasets::Example MakeExample(PhiloxSequence& random) {
  datasets::Example example;
  example.label = static_cast<int32_t>(random.NextBelow(3));
  const uint32_t words = 1 + random.NextBelow(14);
  for (uint32_t i = 0; i < words; ++i) {
    // Words of the base's vocabulary are w0 to w91; most of a text are its label's own.
    const bool own = random.NextBelow(8) != 0;
    const uint32_t word = own ? 30 * static_cast<uint32_t>(example.label) + random.NextBelow(30)
                              : random.NextBelow(92);
    example.text += (i == 0 ? "w" : " w") + std::to_string(word);
  }
  return example;
}

}  // namespace

std::unique_ptr<Engine> MakeEngine(size_t max_waiting, int64_t max_base_bytes,
                                   double pass_seconds) {
  EngineOptions options;
  options.max_base_bytes = max_base_bytes;
  options.max_waiting = max_waiting;
  options.pass_seconds = pass_seconds;
  options.bases = GoldenFolder();
  options.threads = 2;
  return Must(Engine::Create(std::move(options)));
}

std::shared_ptr<const spec::JobSpec> MakeSpec(const Json& method,
                                              const std::function<void(Hyper&)>& change) {
  const std::filesystem::path folder = std::filesystem::path(GoldenFolder()) / kBase;
  const auto checkpoint = Must(safetensors::Checkpoint::Open(folder));
  const families::Layout layout =
      Must(families::ReadLayout(Must(ReadFile(folder / "config.json")), checkpoint->names()));
  spec::JobSpec spec;
  spec.base = kBase;
  spec.adapter = "test";
  spec.method = Must(methods::ParseMethod(method.begin().key(), method.begin().value()));
  Hyper& hp = spec.hyperparameters;
  hp.epochs = 2;
  hp.batch_size = 4;
  hp.learning_rate = 5e-3;
  hp.max_length = 24;
  hp.precision = spec::Precision::kFp32;
  hp.checkpoint_seconds = 3600;
  if (change) change(hp);
  return std::make_shared<const spec::JobSpec>(Must(spec::Resolve(std::move(spec), layout)));
}

std::shared_ptr<const datasets::IngestedDataset> MakeData(int train, int validation, int test) {
  auto data = std::make_shared<datasets::IngestedDataset>();
  data->label_names = {"negative", "neutral", "positive"};
  PhiloxSequence random(17, RandomStream::kProbe);
  for (int i = 0; i < train; ++i) data->train.push_back(MakeExample(random));
  for (int i = 0; i < validation; ++i) data->validation.push_back(MakeExample(random));
  for (int i = 0; i < test; ++i) data->test.push_back(MakeExample(random));
  return data;
}

TrainRequest MakeRequest(std::shared_ptr<const spec::JobSpec> spec,
                         std::shared_ptr<const datasets::IngestedDataset> data,
                         std::string checkpoint) {
  TrainRequest request;
  request.job_id = "job";
  request.base = spec->base;
  request.spec = std::move(spec);
  request.dataset = std::move(data);
  request.dataset_sha256 = std::string(64, '0');
  request.checkpoint = std::move(checkpoint);
  return request;
}

TrainRequest EventfulJob(std::string checkpoint) {
  const Json method = {{"lora",
                        {{"rank", 4},
                         {"dropout", 0.2},
                         {"target_modules", {"query", "value", "intermediate.dense"}}}}};
  const auto spec = MakeSpec(method, [](Hyper& hp) {
    hp.epochs = 12;
    hp.batch_size = 4;
    hp.gradient_accumulation_steps = 2;
    hp.learning_rate = 2e-2;
    hp.warmup_steps = 2;
    hp.weight_decay = 0.01;
    hp.evaluations_per_epoch = 2;
    hp.keep_best = true;
    hp.early_stopping_patience = 3;
  });
  return MakeRequest(spec, MakeData(28, 12, 12), std::move(checkpoint));
}

StatusOr<TrainOutcome> RunJob(Engine& engine, TrainRequest request,
                              const std::shared_ptr<Recorder>& recorder) {
  GRAFT_RETURN_IF_ERROR(engine.Train(std::move(request), recorder));
  return recorder->Wait();
}

Artifact TrainAndLoad(Engine& engine, const Json& method, uint64_t seed) {
  const auto spec = MakeSpec(method, [&](Hyper& hp) {
    hp.seed = seed;
    hp.epochs = 1;
  });
  TrainOutcome outcome = Must(RunJob(engine, MakeRequest(spec, MakeData(24, 0, 0))));
  Must(Load(engine, outcome.artifact));
  return std::move(outcome.artifact);
}

StatusOr<LoadResult> Load(Engine& engine, const Artifact& artifact, bool prove) {
  return engine.Load({.version = artifact.sha256,
                      .base = kBase,
                      .base_fingerprint = artifact.base_fingerprint,
                      .files = artifact.files,
                      .prove = prove});
}

StatusOr<ClassifyResult> Classify(Engine& engine, const VersionId& version,
                                  const std::vector<std::string>& texts) {
  ClassifyRequest request{.version = version, .inputs = {}};
  for (const std::string& text : texts) request.inputs.push_back({text, ""});
  std::promise<StatusOr<ClassifyResult>> done;
  engine.Classify(std::move(request),
                  [&](StatusOr<ClassifyResult> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

Blocked::Blocked(Engine& engine, const VersionId& version, std::function<void()> inside) {
  auto entered = std::make_shared<std::promise<void>>();
  engine.Classify(
      {.version = version, .inputs = {{"w1", ""}}},
      [entered, inside, release = release_.get_future().share()](const StatusOr<ClassifyResult>&) {
        entered->set_value();
        inside ? inside() : release.wait();
      });
  entered->get_future().wait();
}

void Blocked::Release() {
  if (!std::exchange(released_, true)) release_.set_value();
}

}  // namespace graft::worker::engine::testing
