/// What the engine's ledger tells of its device, beside what the allocator counts; and who leaves,
/// or is refused, where not all fits.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "tests/support/must.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/zero_base.h"
#include "worker/engine/device/cpu_memory.h"
#include "worker/engine/engine.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;

namespace fs = std::filesystem;
using testing::MakeData;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;
using testing::TrainAndLoad;

const Json kLora = {{"lora", {{"rank", 2}}}};

std::unique_ptr<Engine> MakeEngine(int64_t memory, const fs::path& bases = testing::GoldenFolder(),
                                   int64_t max_kv_bytes = int64_t{1} << 30) {
  EngineOptions options;
  options.bases = bases;
  options.threads = 2;
  options.memory_bytes = memory;
  options.max_base_bytes = memory;
  options.max_kv_bytes = max_kv_bytes;
  options.base_precision = spec::Precision::kFp32;
  return Must(Engine::Create(std::move(options)));
}

/// A recorder that also notes what the job needs.
class NeedsRecorder : public Recorder {
 public:
  using Recorder::Recorder;
  void OnMemory(int64_t bytes) override { needs = bytes; }
  int64_t needs = 0;
};

int64_t NeedOf(const Json& method) {
  const auto engine = MakeEngine(int64_t{1} << 30);
  const auto recorder = std::make_shared<NeedsRecorder>();
  const auto outcome = RunJob(*engine, MakeRequest(MakeSpec(method), MakeData(8, 0, 0)), recorder);
  if (!outcome.ok()) throw std::runtime_error(outcome.status().ToString());
  return recorder->needs;
}

TEST(MemoryTest, AJobHoldsItsMemoryUntilItsEnd) {
  const auto engine = MakeEngine(int64_t{1} << 30);
  std::atomic<int64_t> during = 0;
  const auto recorder = std::make_shared<Recorder>([&](int64_t) {
    during = engine->figures().memory.training;
    return DesiredState::kRun;
  });

  ASSERT_TRUE(RunJob(*engine, MakeRequest(MakeSpec(kLora), MakeData(8, 0, 0)), recorder).ok());

  EXPECT_GT(during, 0);
  EXPECT_EQ(engine->figures().memory.training, 0);
}

TEST(MemoryTest, AJobThatDoesNotFitIsRefusedWithTheNumbers) {
  const int64_t needs = NeedOf({{"full", Json::object()}});
  // An eighth is for passes.
  const auto engine = MakeEngine(needs);
  const auto recorder = std::make_shared<NeedsRecorder>();

  const Status status =
      engine->Train(MakeRequest(MakeSpec({{"full", Json::object()}}), MakeData(8, 0, 0)), recorder);

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(IsRefusedForMemory(status));
  EXPECT_THAT(status.message(), ::testing::StartsWith("training on the base base-bert needs "));
  EXPECT_EQ(recorder->needs, needs);
  EXPECT_EQ(engine->figures().memory.training, 0);
  EXPECT_LT(engine->job_memory().most_bytes, needs);
  EXPECT_TRUE(RunJob(*engine, MakeRequest(MakeSpec(kLora), MakeData(8, 0, 0))).ok())
      << "the engine lives on";
}

TEST(MemoryTest, AJobWhoseBaseDoesNotFitTellsAllThatItNeeds) {
  const int64_t needs = NeedOf(kLora);
  const auto engine = MakeEngine(1 << 16);
  const auto recorder = std::make_shared<NeedsRecorder>();

  const Status status = engine->Train(MakeRequest(MakeSpec(kLora), MakeData(8, 0, 0)), recorder);

  EXPECT_TRUE(IsRefusedForMemory(status));
  EXPECT_THAT(status.message(), ::testing::StartsWith("the base base-bert needs "));
  EXPECT_EQ(recorder->needs, needs);
}

TEST(MemoryTest, WhatIsIdleLeavesForAJob) {
  const int64_t needs = NeedOf({{"full", Json::object()}});
  const auto engine = MakeEngine(needs / 7 * 8 + 4096);
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  ASSERT_TRUE(engine->BaseFingerprint("base-distilbert").ok());
  const int64_t most = engine->job_memory().most_bytes;
  EXPECT_EQ(engine->job_memory().free_bytes, most) << "all that is there is idle";

  const auto outcome =
      RunJob(*engine, MakeRequest(MakeSpec({{"full", Json::object()}}), MakeData(8, 0, 0)));

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_FALSE(engine->IsResident(version));
  EXPECT_FALSE(engine->HoldsBase("base-distilbert"));
}

TEST(MemoryTest, WhatIsInUseIsNotFreeAndItsBaseIsNamed) {
  const auto engine = MakeEngine(int64_t{1} << 30);
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  const int64_t most = engine->job_memory().most_bytes;
  ASSERT_TRUE(engine->job_memory().bases_in_use.empty());
  const testing::Blocked in_use(*engine, version);

  const JobMemory memory = engine->job_memory();

  ASSERT_EQ(memory.bases_in_use.size(), 1U);
  EXPECT_EQ(memory.bases_in_use[0].id, "base-bert");
  EXPECT_FALSE(memory.bases_in_use[0].is_bf16);
  const int64_t base = engine->resident_bases().at(0).bytes;
  EXPECT_EQ(memory.bases_in_use[0].bytes, base);
  EXPECT_LE(memory.free_bytes, most - base);
}

/// Decoders over an engine, and texts that go on until they are told to end.
class LoadTest : public ::testing::Test {
 protected:
  LoadTest() : folder_(*TempFolder::Create()) {
    testing::WriteZeroBase(
        fs::path(testing::DecoderFolder()) / "base-llama", folder_.path() / "base-bert",
        {.hidden = 256, .inner = 704, .vocabulary = 8192, .head_dim = 32, .positions = 32'768});
  }

  /// A text that goes on until end_ is set; returns its outcome.
  std::future<Status> Write(Engine& engine, const VersionId& version) {
    GenerateRequest request;
    if (version.empty()) request.base = "base-bert";
    request.version = version;
    request.prompt = "abc abc";
    request.settings.sampling.temperature = 0;
    request.settings.stopping.max_tokens = 400;
    request.abandoned = [this] { return end_.load(); };
    auto done = std::make_shared<std::promise<Status>>();
    engine.Generate(
        std::move(request), [this](const GeneratedPiece&) { ++pieces_; },
        [done](const StatusOr<GenerateResult>& result) { done->set_value(result.status()); });
    return done->get_future();
  }

  TrainRequest Job(const Json& method, int64_t steps, int batch_size = 8, int words = 120) const {
    const fs::path base = folder_.path() / "base-bert";
    const auto checkpoint = Must(safetensors::Checkpoint::Open(base));
    const families::Layout layout =
        Must(families::ReadLayout(Must(ReadFile(base / "config.json")), checkpoint->names()));
    spec::JobSpec spec;
    spec.base = "base-bert";
    spec.adapter = "test";
    spec.task.kind = tasks::Kind::kCausalLanguageModeling;
    spec.method = Must(methods::ParseMethod(method.begin().key(), method.begin().value()));
    spec.hyperparameters.batch_size = batch_size;
    spec.hyperparameters.max_steps = static_cast<int>(steps);
    spec.hyperparameters.max_length = 128;
    spec.hyperparameters.precision = spec::Precision::kFp32;
    spec.hyperparameters.evaluations_per_epoch = 0;
    auto data = std::make_shared<datasets::IngestedDataset>();
    data->shape = datasets::Shape::kText;
    for (int i = 0; i < 16; ++i) {
      datasets::Example& example = data->train.emplace_back();
      for (int word = 0; word < words; ++word) example.text += " a";
    }
    return MakeRequest(
        std::make_shared<const spec::JobSpec>(Must(spec::Resolve(std::move(spec), layout))),
        std::move(data));
  }

  TempFolder folder_;
  std::atomic<bool> end_ = false;
  std::atomic<int64_t> pieces_ = 0;
};

TEST_F(LoadTest, ABaseThatFitsButCantBeReadCountsAsMoreThanThereIs) {
  const Json lora = {{"lora", {{"rank", 2}}}};
  const auto roomy = MakeEngine(int64_t{2} << 30, folder_.path());
  const auto known = std::make_shared<NeedsRecorder>();
  ASSERT_TRUE(RunJob(*roomy, Job(lora, 1, 1, 4), known).ok());
  // An eighth is for passes, reading among them, which takes half as much again as the embeddings.
  const auto engine = MakeEngine(known->needs / 7 * 8 + 4096, folder_.path());
  ASSERT_GE(engine->job_memory().most_bytes, known->needs);
  const auto recorder = std::make_shared<NeedsRecorder>();

  const Status status = engine->Train(Job(lora, 1, 1, 4), recorder);

  ASSERT_THAT(status.message(), ::testing::StartsWith("reading the base base-bert needs "));
  EXPECT_GT(recorder->needs, engine->job_memory().most_bytes)
      << "else it would be given to this worker again and again";
  const auto enough = MakeEngine(recorder->needs / 7 * 8 + 4096, folder_.path());
  EXPECT_TRUE(RunJob(*enough, Job(lora, 1, 1, 4)).ok());
}

TEST_F(LoadTest, TheLedgerTellsWhatTheAllocatorCounts) {
  InstallCpuAllocator();
  ReleaseCachedCpuMemory();
  const int64_t before = GetCpuMemoryFigures().used_bytes;
  const auto engine = MakeEngine(int64_t{2} << 30, folder_.path(), /*max_kv_bytes=*/16 << 20);
  const TrainOutcome made =
      Must(RunJob(*engine, Job({{"lora", {{"rank", 16}, {"target_modules", {"all-linear"}}}}}, 2)));
  const auto loaded = testing::Load(*engine, made.artifact, /*prove=*/false);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<std::future<Status>> texts;
  for (int i = 0; i < 4; ++i) {
    texts.push_back(Write(*engine, {}));
    texts.push_back(Write(*engine, made.artifact.sha256));
  }

  // The run resets the allocator's peak where it begins.
  const TrainOutcome outcome =
      Must(RunJob(*engine, Job({{"lora", {{"rank", 16}, {"target_modules", {"all-linear"}}}}}, 4)));

  const MemoryFigures told = engine->figures().memory;
  const auto counted = static_cast<double>(outcome.facts.peak_memory_bytes - before);
  end_ = true;
  for (auto& text : texts) (void)text.get();
  RecordProperty("told_by_counted", std::to_string(static_cast<double>(told.peak) / counted));
  EXPECT_GT(pieces_, 0);
  EXPECT_GT(told.keys_values, 15 << 20);
  EXPECT_GT(told.adapters, 0);
  EXPECT_NEAR(static_cast<double>(told.peak) / counted, 1, 0.05)
      << "told " << told.peak << ", counted " << counted << ": bases " << told.bases
      << ", adapters " << told.adapters << ", keys and values " << told.keys_values;
}

TEST_F(LoadTest, KeysAndValuesStayWithinTheirBudgetAndGoBackWithTheLastText) {
  constexpr int64_t kMost = 3 << 20;
  const auto engine = MakeEngine(int64_t{1} << 30, folder_.path(), kMost);
  std::vector<std::future<Status>> texts;
  for (int i = 0; i < 24; ++i) texts.push_back(Write(*engine, {}));
  for (auto& text : texts) {
    while (text.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      const EngineFigures figures = engine->figures();
      ASSERT_LE(figures.memory.keys_values, kMost);
      ASSERT_LE(figures.kv_used_bytes, figures.kv_bytes);
      if (figures.preemptions > 0 && pieces_ > 500) end_ = true;
    }
  }

  EXPECT_GT(engine->figures().preemptions, 0) << "they want more than there is";
  // A text's end is told within its step; the cache goes behind it.
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (engine->figures().memory.keys_values > 0 && std::chrono::steady_clock::now() < latest)
    std::this_thread::yield();
  EXPECT_EQ(engine->figures().memory.keys_values, 0);
}

TEST_F(LoadTest, ACacheThatHoldsNoContextIsRefusedWithTheNumbers) {
  const int64_t base = [&] {
    const auto engine = MakeEngine(int64_t{1} << 30, folder_.path());
    EXPECT_TRUE(engine->BaseFingerprint("base-bert").ok());
    return engine->figures().memory.bases;
  }();
  // With room to read the base, but for no context beside it.
  const auto engine = MakeEngine((base + (20 << 20)) / 7 * 8, folder_.path());

  const Status status = Write(*engine, {}).get();

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(),
              ::testing::StartsWith("the cache of keys and values of base-bert needs "));
  EXPECT_THAT(status.message(), ::testing::HasSubstr("bases have "));
}

TEST(EngineOptionsTest, NoRoomForKeysAndValuesIsRefusedAtTheStart) {
  EngineOptions options;
  options.bases = testing::GoldenFolder();
  options.max_kv_bytes = 0;

  const auto engine = Engine::Create(std::move(options));

  EXPECT_EQ(engine.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(engine.status().message(),
            "--kv-memory must be at least 1: what is generated over a base needs keys and values");
}

}  // namespace
}  // namespace graft::worker::engine
