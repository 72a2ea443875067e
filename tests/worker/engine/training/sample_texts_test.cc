/// Samples of a job: what is generated at an evaluation is what the version of that state writes,
/// it changes nothing of the version, and nobody waits for its end.

#include "worker/engine/training/sample_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "common/base/file.h"
#include "common/safetensors/checkpoint.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/families/families.h"
#include "worker/engine/methods/methods.h"

namespace graft::worker::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MakeRequest;
using testing::Recorder;
using testing::RunJob;
using ::testing::SizeIs;
using Samples = std::vector<std::string>;

constexpr const char* kBase = "base-llama";

std::filesystem::path BaseFolder() { return testing::DecoderFolder() + std::string("/") + kBase; }

std::unique_ptr<Engine> MakeEngine() {
  EngineOptions options;
  options.bases = testing::DecoderFolder();
  options.threads = 2;
  return std::move(Engine::Create(std::move(options))).value();
}

spec::JobSpec SpecOf(const Samples& samples) {
  const auto checkpoint = safetensors::Checkpoint::Open(BaseFolder()).value();
  const families::Layout layout =
      families::ReadLayout(ReadFile(BaseFolder() / "config.json").value(), checkpoint->names())
          .value();
  spec::JobSpec spec;
  spec.base = kBase;
  spec.adapter = "test";
  spec.method = methods::ParseMethod("lora", {{"rank", 4}}).value();
  spec.task.kind = tasks::Kind::kCausalLanguageModeling;
  spec.task.language.samples = samples;
  spec.task.language.sample_tokens = 12;
  spec::Hyperparameters& hp = spec.hyperparameters;
  hp.epochs = 2;
  hp.batch_size = 4;
  hp.learning_rate = 5e-2;
  hp.max_length = 24;
  hp.precision = spec::Precision::kFp32;
  hp.checkpoint_seconds = 3600;
  return spec::Resolve(std::move(spec), layout).value();
}

/// Words that are said twice.
datasets::IngestedDataset Texts() {
  datasets::IngestedDataset data;
  data.shape = datasets::Shape::kText;
  for (const char* text : {"xyz xyz", "zzy zzy", "qqx qqx", "yxy yxy", "xxq xxq", "zqz zqz"})
    data.train.push_back({text, ""});
  data.validation = {{"yyx yyx", ""}};
  return data;
}

TrainRequest JobOn(datasets::IngestedDataset data, const Samples& samples,
                   std::string checkpoint = {}) {
  return MakeRequest(std::make_shared<const spec::JobSpec>(SpecOf(samples)),
                     std::make_shared<const datasets::IngestedDataset>(std::move(data)),
                     std::move(checkpoint));
}

/// The text that a version writes, greedily.
std::string Written(Engine& engine, const VersionId& version, const std::string& prompt,
                    bool special_tokens = true) {
  GenerateRequest request;
  request.version = version;
  request.prompt = prompt;
  request.is_chat = !special_tokens;
  request.settings.sampling.temperature = 0;
  request.settings.stopping.max_tokens = 12;
  std::string text;
  std::promise<Status> done;
  engine.Generate(
      std::move(request), [&](const GeneratedPiece& piece) { text += piece.text; },
      [&](const StatusOr<GenerateResult>& result) { done.set_value(result.status()); });
  const Status status = done.get_future().get();
  EXPECT_TRUE(status.ok()) << status;
  return text;
}

void LoadVersion(Engine& engine, const Artifact& artifact) {
  const auto loaded = engine.Load({.version = artifact.sha256,
                                   .base = kBase,
                                   .base_fingerprint = artifact.base_fingerprint,
                                   .files = artifact.files,
                                   .prove = true});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
}

TEST(SampleTextsTest, EachEvaluationTellsWhatItsStateWrites) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();
  const Samples prompts = {"xyz", "zz", "q"};

  const auto outcome = RunJob(*engine, JobOn(Texts(), prompts), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_THAT(recorder->evaluations, SizeIs(2));
  ASSERT_THAT(recorder->samples, SizeIs(6));
  LoadVersion(*engine, outcome->artifact);
  bool has_moved = false;
  for (size_t i = 0; i < 6; ++i) {
    const report::Sample& sample = recorder->samples[i];
    EXPECT_EQ(sample.index, static_cast<int32_t>(i % 3));
    EXPECT_EQ(sample.prompt, prompts[i % 3]);
    EXPECT_EQ(sample.step, recorder->evaluations[i / 3].step);
    EXPECT_EQ(sample.finish_reason, sample.tokens < 12 ? "stop" : "length");
    if (i < 3) continue;
    EXPECT_EQ(sample.text, Written(*engine, outcome->artifact.sha256, prompts[i % 3])) << i;
    has_moved |= sample.text != recorder->samples[i - 3].text;
  }
  EXPECT_TRUE(has_moved) << "two evaluations should tell of two states, or this test shows less";
}

TEST(SampleTextsTest, OfConversationsAPromptIsWhatTheUserSays) {
  const auto engine = MakeEngine();
  datasets::IngestedDataset data;
  data.shape = datasets::Shape::kMessages;
  for (const char* word : {"xyz", "zzy", "qqx"}) {
    data.train.push_back({std::string(R"([{"role":"user","content":")") + word +
                              R"("},{"role":"assistant","content":")" + word + "\"}]",
                          ""});
  }
  data.validation = {data.train.front()};
  TrainRequest request = JobOn(data, {"zy"});
  spec::JobSpec spec = *request.spec;
  spec.task.language.chat_template =
      "{% for m in messages %}{{ m.role[0] }}{{ m.content }}</s>{% endfor %}"
      "{% if add_generation_prompt %}a{% endif %}";
  request.spec = std::make_shared<const spec::JobSpec>(spec);
  const auto recorder = std::make_shared<Recorder>();

  const auto outcome = RunJob(*engine, std::move(request), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  LoadVersion(*engine, outcome->artifact);
  const std::string whole = Written(*engine, outcome->artifact.sha256, "uzy</s>a", false);
  EXPECT_EQ(recorder->samples.back().text, whole);
  EXPECT_NE(Written(*engine, outcome->artifact.sha256, "zy"), whole)
      << "the template should matter, or this test shows less";
}

TEST(SampleTextsTest, TheVersionIsTheSameWithoutThem) {
  const auto engine = MakeEngine();

  const auto with = RunJob(*engine, JobOn(Texts(), {"xyz", "q"}));
  const auto without = RunJob(*engine, JobOn(Texts(), {}));

  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_EQ(with->artifact.sha256, without->artifact.sha256);
}

TEST(SampleTextsTest, AJobGivenBackAfterEveryTurnButOneTellsTheSame) {
  const auto engine = MakeEngine();
  const auto whole = std::make_shared<Recorder>();
  int64_t turns_of_all = 0;
  const auto counting = std::make_shared<Recorder>([&](int64_t turns) {
    turns_of_all = turns;
    return DesiredState::kRun;
  });
  const auto undisturbed = RunJob(*engine, JobOn(Texts(), {"xyz", "zz"}), counting);
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  ASSERT_GT(turns_of_all, 20) << "texts should take a turn a token";

  for (int64_t turn = 1; turn < turns_of_all; turn += 3) {
    const auto first = std::make_shared<Recorder>(
        [&](int64_t turns) { return turns == turn ? DesiredState::kRelease : DesiredState::kRun; });
    ASSERT_EQ(RunJob(*engine, JobOn(Texts(), {"xyz", "zz"}), first)->kind,
              TrainOutcome::Kind::kReleased);
    const auto second = std::make_shared<Recorder>();
    const auto resumed = RunJob(*engine, JobOn(Texts(), {"xyz", "zz"}, first->checkpoint), second);

    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(resumed->artifact.sha256, undisturbed->artifact.sha256) << turn;
    std::map<std::pair<int64_t, int32_t>, std::string> told, expected;
    for (const auto& recorder : {first, second}) {
      for (const report::Sample& one : recorder->samples) told[{one.step, one.index}] = one.text;
    }
    for (const report::Sample& one : counting->samples) expected[{one.step, one.index}] = one.text;
    EXPECT_EQ(told, expected) << turn;
  }
}

TEST(SampleTextsTest, ACancelDoesNotWaitForTheirEnd) {
  const auto engine = MakeEngine();
  const auto cancel = std::make_shared<Recorder>();
  int64_t turns_behind = 0;
  cancel->SetDesired([&, recorder = cancel.get()](int64_t) {
    if (!recorder->evaluations.empty()) ++turns_behind;
    return turns_behind == 4 ? DesiredState::kCancel : DesiredState::kRun;
  });

  const auto outcome = RunJob(*engine, JobOn(Texts(), {"xyz", "zz"}), cancel);

  EXPECT_EQ(outcome->kind, TrainOutcome::Kind::kCancelled);
  EXPECT_THAT(cancel->samples, IsEmpty());
}

TEST(SampleTextsTest, RequestsAreServedBetweenTheirSteps) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();
  std::atomic<bool> is_asked = false, is_answered = false;
  bool was_answered_before = false;
  recorder->SetDesired([&, told = recorder.get()](int64_t) {
    if (told->evaluations.size() != 1 || !told->samples.empty()) return DesiredState::kRun;
    was_answered_before |= is_answered;
    if (is_asked.exchange(true)) return DesiredState::kRun;
    ScoreRequest request;
    request.base = kBase;
    request.inputs = {{"", "xyz"}};
    engine->Score(std::move(request),
                  [&](const StatusOr<ScoreResult>& result) { is_answered = result.ok(); });
    return DesiredState::kRun;
  });

  ASSERT_TRUE(RunJob(*engine, JobOn(Texts(), {"xyz", "zz"}), recorder).ok());

  EXPECT_TRUE(was_answered_before);
}

TEST(SampleTextsTest, APromptThatLeavesNoRoomIsRefused) {
  const auto engine = MakeEngine();

  const Status status = RunJob(*engine, JobOn(Texts(), {"xyz", std::string(5000, 'z')})).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "task.causal_lm.samples[1]");
  EXPECT_THAT(status.message(), HasSubstr("nothing is left for an answer"));
}

TEST(SampleTextsTest, WhatCannotBeGeneratedIsTold) {
  const auto base = *Base::Load(kBase, BaseFolder(), at::kFloat, at::kCPU);
  const LoadedBase on{base, std::shared_ptr<const Model>(*MakeModel(*base))};
  const spec::JobSpec spec = SpecOf({"xyz", "zz"});
  const auto adapter = *MakeAdapter(spec.method, base->layout(), spec.task.OfVersion(), at::kCPU);
  SamplePlan plan = *PlanSamples(spec, *base, datasets::Shape::kText, {});
  plan.cache_bytes = 1;

  const SampleTexts texts(on, *adapter, plan);

  ASSERT_TRUE(texts.done());
  ASSERT_THAT(texts.Result(), SizeIs(2));
  EXPECT_EQ(texts.Result()[1].status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace graft::worker::engine
