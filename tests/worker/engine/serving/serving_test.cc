/// Serving through the public Engine: adapters that share a pass don't meet, training changes no
/// answer, and whatever can't be served says why.

#include <gtest/gtest.h>

#include <cmath>
#include <future>

#include "tests/worker/engine/engine_case.h"

namespace graft::worker::engine {
namespace {

using testing::Blocked;
using testing::Classify;
using testing::Hyper;
using testing::MakeData;
using testing::MakeEngine;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;
using testing::TrainAndLoad;

/// Nothing is that fast: passes are as small as they get.
constexpr double kShortPasses = 1e-9;
/// All that waits fits into one, however busy the machine is.
constexpr double kLongPasses = 3600;

const Json kLora = {{"lora", {{"rank", 4}, {"target_modules", {"query", "value"}}}}};

/// Methods of all kinds: some wrap linears, some sublayers, two replace base weights.
const std::vector<Json>& Methods() {
  static const std::vector<Json> methods = {
      {{"lora", {{"rank", 2}, {"target_modules", {"query"}}}}},
      {{"lora",
        {{"rank", 16},
         {"rslora", true},
         {"target_modules", {"key", "value", "intermediate.dense"}}}}},
      kLora,
      {{"bottleneck", {{"placement", "PFEIFFER"}, {"size", 8}}}},
      {{"bottleneck", {{"placement", "HOULSBY"}, {"size", 5}}}},
      {{"last_layers", {{"num_layers", 1}}}},
      {{"full", Json::object()}},
  };
  return methods;
}

const std::vector<std::string> kTexts = {"w1 w2 w3", "w40", "w70 w71 w5 w6 w31 w33 w80 w81 w82 w9",
                                         "unknown words"};

std::vector<std::vector<float>> LogitsOf(const StatusOr<ClassifyResult>& result) {
  std::vector<std::vector<float>> logits;
  if (!result.ok()) {
    ADD_FAILURE() << result.status();
    return logits;
  }
  for (const Prediction& prediction : result->predictions) logits.push_back(prediction.logits);
  return logits;
}

double WorstDifference(const std::vector<std::vector<float>>& a,
                       const std::vector<std::vector<float>>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    for (size_t c = 0; c < a[i].size(); ++c)
      worst = std::max(worst, std::abs(double{a[i][c]} - double{b[i][c]}));
  }
  return worst;
}

ClassifyRequest RequestFor(const VersionId& version,
                           const std::vector<std::string>& texts = kTexts) {
  ClassifyRequest request{.version = version, .inputs = {}};
  for (const std::string& text : texts) request.inputs.push_back({text, ""});
  return request;
}

TEST(ServingTest, ABatchOfMixedAdaptersAnswersAsEachAlone) {
  const auto engine = MakeEngine(/*max_waiting=*/4096, /*max_base_bytes=*/0, kLongPasses);
  std::vector<VersionId> versions;
  for (const Json& method : Methods()) versions.push_back(TrainAndLoad(*engine, method).sha256);
  std::vector<std::vector<std::vector<float>>> alone;
  for (const VersionId& version : versions)
    alone.push_back(LogitsOf(Classify(*engine, version, kTexts)));
  std::vector<std::promise<StatusOr<ClassifyResult>>> mixed(versions.size());
  Blocked blocked(*engine, versions[0]);
  const int64_t passes = engine->figures().served_passes;
  for (size_t i = 0; i < versions.size(); ++i) {
    engine->Classify(RequestFor(versions[i]), [&, i](StatusOr<ClassifyResult> result) {
      mixed[i].set_value(std::move(result));
    });
  }

  blocked.Release();

  for (size_t i = 0; i < versions.size(); ++i) {
    const auto logits = LogitsOf(mixed[i].get_future().get());
    EXPECT_LE(WorstDifference(logits, alone[i]), 1e-5) << Methods()[i];
    for (size_t other = 0; other < i; ++other) {
      EXPECT_GT(WorstDifference(logits, alone[other]), 1e-3)
          << "two versions that can't be told apart";
    }
  }
  // The five that leave the base alone share one pass; the two that replace its weights have one
  // each.
  EXPECT_EQ(engine->figures().served_passes - passes, 3);
}

/// A batch of long texts, and behind it a short request: of its own adapter and of another.
TEST(ServingTest, AShortRequestBesideABatchIsAnsweredWithinTwoPasses) {
  const auto engine = MakeEngine(/*max_waiting=*/4096, /*max_base_bytes=*/0, kShortPasses);
  const VersionId heavy = TrainAndLoad(*engine, kLora).sha256;
  const VersionId light = TrainAndLoad(*engine, Methods()[0]).sha256;
  std::string much;
  for (int i = 0; i < 30; ++i) much += "w1 ";
  for (const VersionId& version : {heavy, light}) {
    std::promise<StatusOr<ClassifyResult>> batch;
    std::promise<int64_t> passes;
    Blocked blocked(*engine, heavy);
    engine->Classify(RequestFor(heavy, std::vector<std::string>(128, much)),
                     [&](StatusOr<ClassifyResult> r) { batch.set_value(std::move(r)); });
    // Answered within the batch's first passes; what it asks then comes beside the rest.
    engine->Classify(RequestFor(light, {"w1"}), [&](const StatusOr<ClassifyResult>&) {
      const int64_t before = engine->figures().served_passes;
      engine->Classify(RequestFor(version, {"w1"}), [&, before](const StatusOr<ClassifyResult>& r) {
        EXPECT_TRUE(r.ok()) << r.status();
        passes.set_value(engine->figures().served_passes - before);
      });
    });
    const int64_t before = engine->figures().served_passes;

    blocked.Release();

    EXPECT_LE(passes.get_future().get(), 2);
    EXPECT_TRUE(batch.get_future().get().ok());
    EXPECT_GT(engine->figures().served_passes - before, 20);
  }
}

TEST(ServingTest, ABatchOfManyPassesAnswersAsOne) {
  const auto whole = MakeEngine(/*max_waiting=*/4096, /*max_base_bytes=*/0, kLongPasses);
  const auto parts = MakeEngine(/*max_waiting=*/4096, /*max_base_bytes=*/0, kShortPasses);
  std::vector<std::string> texts;
  for (int i = 0; i < 250; ++i)
    texts.push_back("w" + std::to_string(i % 92) + (i % 3 == 0 ? " w5 w6 w7 w8 w9 w10" : ""));
  for (const Json& method : Methods()) {
    const auto expected = LogitsOf(Classify(*whole, TrainAndLoad(*whole, method).sha256, texts));
    const VersionId version = TrainAndLoad(*parts, method).sha256;
    const int64_t passes = parts->figures().served_passes;

    const auto logits = LogitsOf(Classify(*parts, version, texts));

    EXPECT_GT(parts->figures().served_passes - passes, 5);
    EXPECT_LE(WorstDifference(logits, expected), 1e-5) << method;
  }
}

TEST(ServingTest, ThePlainBaseAndAdaptersShareEmbeddingPasses) {
  const auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, Methods()[1]).sha256;
  const auto embed = [&](const VersionId& of, std::promise<StatusOr<EmbedResult>>& done) {
    engine->Embed(
        {.base = "base-bert", .version = of, .inputs = {{kTexts[2], ""}, {kTexts[0], ""}}},
        [&](StatusOr<EmbedResult> result) { done.set_value(std::move(result)); });
  };
  const auto values = [](std::promise<StatusOr<EmbedResult>>& done) {
    const auto result = done.get_future().get();
    return std::vector<std::vector<float>>{result->embeddings[0].values,
                                           result->embeddings[1].values};
  };
  std::promise<StatusOr<EmbedResult>> base_alone, adapter_alone, base_mixed, adapter_mixed;
  embed("", base_alone);
  embed(version, adapter_alone);
  const auto of_base = values(base_alone);
  const auto of_adapter = values(adapter_alone);
  {
    const Blocked blocked(*engine, version);
    embed(version, adapter_mixed);
    embed("", base_mixed);
  }

  EXPECT_LE(WorstDifference(values(base_mixed), of_base), 1e-5);
  EXPECT_LE(WorstDifference(values(adapter_mixed), of_adapter), 1e-5);
  EXPECT_GT(WorstDifference(of_base, of_adapter), 1e-3);
}

TEST(ServingTest, TrainingAndServingDontChangeEachOther) {
  const auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  const auto idle = LogitsOf(Classify(*engine, version, kTexts));
  const auto job =
      MakeRequest(MakeSpec({{"lora", {{"rank", 4}, {"dropout", 0.1}}}}), MakeData(40, 10, 0));
  const auto undisturbed = RunJob(*engine, job);
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  // A request in front of every turn: it is answered at the turn's first yield, within the training
  // pass or that of an evaluation.
  std::vector<std::shared_ptr<std::promise<StatusOr<ClassifyResult>>>> answers;
  const auto recorder = std::make_shared<Recorder>([&](int64_t) {
    auto answer = answers.emplace_back(std::make_shared<std::promise<StatusOr<ClassifyResult>>>());
    engine->Classify(RequestFor(version),
                     [answer](StatusOr<ClassifyResult> r) { answer->set_value(std::move(r)); });
    return DesiredState::kRun;
  });

  const auto disturbed = RunJob(*engine, job, recorder);

  ASSERT_TRUE(disturbed.ok()) << disturbed.status();
  EXPECT_EQ(disturbed->artifact.sha256, undisturbed->artifact.sha256);
  EXPECT_EQ(answers.size(), 20U + 2U + 1U) << "steps, evaluations, the end";
  for (const auto& answer : answers) EXPECT_EQ(LogitsOf(answer->get_future().get()), idle);
}

TEST(ServingTest, AnAnswerCarriesItsFacts) {
  const auto engine = MakeEngine();
  const Artifact artifact = TrainAndLoad(*engine, kLora);
  std::string much;
  for (int i = 0; i < 60; ++i) much += "w1 ";

  const auto result = Classify(*engine, artifact.sha256, {"w1 w2", much});

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(*result->label_names, (std::vector<std::string>{"negative", "neutral", "positive"}));
  EXPECT_EQ(result->base_fingerprint, artifact.base_fingerprint);
  EXPECT_EQ(result->predictions[0].tokens, 4);
  EXPECT_FALSE(result->predictions[0].truncated);
  EXPECT_EQ(result->predictions[1].tokens, 24);
  EXPECT_TRUE(result->predictions[1].truncated);
  for (const Prediction& prediction : result->predictions) {
    double sum = 0;
    for (const float p : prediction.probabilities) sum += p;
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_NEAR(std::log(prediction.probabilities[0] / prediction.probabilities[2]),
                prediction.logits[0] - prediction.logits[2], 1e-4);
  }
}

TEST(ServingTest, AnUnknownVersionIsNotResident) {
  const auto result = Classify(*MakeEngine(), std::string(64, 'a'), kTexts);

  EXPECT_EQ(result.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(result.status()), "VERSION_NOT_RESIDENT");
}

TEST(ServingTest, AnUnloadedVersionIsNotResidentAndCanComeBack) {
  const auto engine = MakeEngine();
  const Artifact artifact = TrainAndLoad(*engine, kLora);
  const auto before = LogitsOf(Classify(*engine, artifact.sha256, kTexts));
  ASSERT_TRUE(engine->IsResident(artifact.sha256));

  engine->Unload(artifact.sha256);

  EXPECT_FALSE(engine->IsResident(artifact.sha256));
  EXPECT_EQ(engine->figures().adapters_resident, 0);
  EXPECT_EQ(engine->figures().adapter_bytes, 0);
  EXPECT_EQ(ReasonOf(Classify(*engine, artifact.sha256, kTexts).status()), "VERSION_NOT_RESIDENT");
  ASSERT_TRUE(testing::Load(*engine, artifact).ok());
  EXPECT_EQ(LogitsOf(Classify(*engine, artifact.sha256, kTexts)), before);
}

TEST(ServingTest, ARequestThatWaitsOutlivesItsVersionsUnloading) {
  const auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  const auto expected = LogitsOf(Classify(*engine, version, kTexts));
  std::promise<StatusOr<ClassifyResult>> answer;
  Blocked blocked(*engine, version);
  engine->Classify(RequestFor(version),
                   [&](StatusOr<ClassifyResult> r) { answer.set_value(std::move(r)); });

  engine->Unload(version);
  blocked.Release();

  EXPECT_EQ(LogitsOf(answer.get_future().get()), expected);
}

TEST(ServingTest, ARequestThatNobodyWaitsForIsNotComputed) {
  const auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  std::promise<StatusOr<ClassifyResult>> abandoned;
  std::promise<StatusOr<Evaluation>> evaluation;
  Blocked blocked(*engine, version);
  const int64_t passes = engine->figures().served_passes;
  ClassifyRequest request = RequestFor(version);
  request.abandoned = [] { return true; };
  engine->Classify(request, [&](StatusOr<ClassifyResult> r) { abandoned.set_value(std::move(r)); });
  engine->Evaluate(
      {.version = version, .dataset = MakeData(8, 0, 0), .abandoned = request.abandoned},
      [&](StatusOr<Evaluation> r) { evaluation.set_value(std::move(r)); });

  blocked.Release();

  EXPECT_EQ(abandoned.get_future().get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(evaluation.get_future().get().status().code(), StatusCode::kCancelled);
  // Behind this one's answer all that came before is counted: its own pass and the blocking one's.
  EXPECT_TRUE(Classify(*engine, version, kTexts).ok());
  EXPECT_EQ(engine->figures().requests_waiting, 0);
  EXPECT_LE(engine->figures().served_passes, passes + 2);
}

TEST(ServingTest, MoreInputsThanMayWaitAreRefusedAtOnce) {
  const auto engine = MakeEngine(3);
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  std::promise<StatusOr<ClassifyResult>> waiting, after;
  Blocked blocked(*engine, version);
  engine->Classify(RequestFor(version, {"w1", "w2"}),
                   [&](StatusOr<ClassifyResult> r) { waiting.set_value(std::move(r)); });

  const auto refused = Classify(*engine, version, {"w1", "w2"});

  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(engine->figures().requests_waiting, 2);
  engine->Classify(RequestFor(version, {"w3"}),
                   [&](StatusOr<ClassifyResult> r) { after.set_value(std::move(r)); });
  blocked.Release();
  EXPECT_TRUE(waiting.get_future().get().ok());
  EXPECT_TRUE(after.get_future().get().ok());
  EXPECT_EQ(engine->figures().requests_waiting, 0);
}

TEST(ServingTest, PairsAndSingleTextsAreAnsweredByWhatWasTrainedOnThem) {
  const auto engine = MakeEngine();
  auto pairs = std::make_shared<datasets::IngestedDataset>(*MakeData(12, 0, 0));
  pairs->has_pair = true;
  for (datasets::Example& example : pairs->train) example.text_pair = "w50 w51";
  const auto of_pairs = RunJob(*engine, MakeRequest(MakeSpec(kLora), pairs));
  ASSERT_TRUE(of_pairs.ok()) << of_pairs.status();
  ASSERT_TRUE(testing::Load(*engine, of_pairs->artifact).ok());
  const VersionId of_singles = TrainAndLoad(*engine, kLora).sha256;
  const auto ask = [&](const VersionId& version, std::vector<TextInput> inputs) {
    std::promise<Status> answer;
    engine->Classify({.version = version, .inputs = std::move(inputs)},
                     [&](const StatusOr<ClassifyResult>& r) { answer.set_value(r.status()); });
    return answer.get_future().get();
  };

  EXPECT_TRUE(ask(of_pairs->artifact.sha256, {{"w1", "w2"}}).ok());
  EXPECT_TRUE(ask(of_singles, {{"w1", ""}}).ok());
  for (const Status& refused : {ask(of_pairs->artifact.sha256, {{"w1", "w2"}, {"w1", ""}}),
                                ask(of_singles, {{"w1", ""}, {"w1", "w2"}})}) {
    EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument) << refused;
    EXPECT_EQ(refused.details().at(0).field, "inputs[1].text_pair");
  }
}

TEST(ServingTest, NoInputAndTooManyInputsAreRefused) {
  const auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;

  EXPECT_EQ(Classify(*engine, version, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Classify(*engine, version, std::vector<std::string>(257, "w1")).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(Classify(*engine, version, std::vector<std::string>(256, "w1")).ok());
  EXPECT_TRUE(Classify(*engine, version, {""}).ok());
}

/// Stops an engine while its thread is busy; everything that waits must still be answered.
TEST(ServingTest, AStoppingEngineAnswersAllThatWaits) {
  auto engine = MakeEngine();
  const VersionId version = TrainAndLoad(*engine, kLora).sha256;
  Engine& borrowed = *engine;
  const auto data = MakeData(8, 0, 0);
  const auto job = std::make_shared<Recorder>();
  ASSERT_TRUE(
      engine
          ->Train(MakeRequest(MakeSpec(kLora, [](Hyper& hp) { hp.max_steps = 1'000'000; }), data),
                  job)
          .ok());
  std::atomic<int> asked{0}, answered{0};
  std::promise<StatusOr<ClassifyResult>> waiting;
  std::promise<void> one_waits;
  const auto evaluate = [&] {
    const int before = answered;
    ++asked;
    borrowed.Evaluate({.version = version, .dataset = data},
                      [&](const StatusOr<Evaluation>&) { ++answered; });
    return answered > before;  // At once: the engine takes no more.
  };
  const Blocked blocked(borrowed, version, [&] {
    borrowed.Classify(RequestFor(version),
                      [&](StatusOr<ClassifyResult> r) { waiting.set_value(std::move(r)); });
    evaluate();
    one_waits.set_value();
    while (!evaluate()) std::this_thread::yield();
  });

  one_waits.get_future().wait();
  engine.reset();

  EXPECT_EQ(job->Wait().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(waiting.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_GT(asked, 1);
  EXPECT_EQ(answered, asked);
}

}  // namespace
}  // namespace graft::worker::engine
