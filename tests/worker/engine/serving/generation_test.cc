/// Texts that the engine generates: their tokens are those of whole passes, whoever is beside them,
/// however small the cache; they end where they were asked to, and faults are told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "tests/worker/engine/serving/generate_case.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/families/families.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBase = "base-llama";

using testing::Answer;
using testing::Ask;
using testing::Text;

std::unique_ptr<Engine> MakeEngine(int64_t max_kv_bytes = int64_t{1} << 28) {
  return testing::MakeTextEngine(max_kv_bytes);
}

GenerateRequest Greedy(const std::string& prompt, int64_t max_tokens) {
  return testing::Greedy(kBase, prompt, max_tokens);
}

/// The tiny base, to compute what the engine should give.
class Reference {
 public:
  Reference()
      : base_(*Base::Load(kBase, testing::DecoderFolder() + std::string("/") + kBase, at::kFloat,
                          at::kCPU)),
        model_(*MakeModel(*base_)) {}

  /// A text of some tokens of the base's, another for each seed.
  std::string Prompt(int seed, int length = 6) const {
    std::vector<int32_t> ids;
    for (int i = 0; i < length; ++i) ids.push_back(10 + (seed * 31 + i * 17) % 60);
    return base_->tokenizer().Decode(ids, {});
  }
  /// The likeliest tokens, each by a pass over all that is in front of it.
  std::vector<int32_t> Continue(const std::string& prompt, int64_t count,
                                bool may_end = true) const {
    std::vector<int32_t> ids = base_->tokenizer().Encode(prompt, {.max_length = 100}).ids;
    std::vector<int32_t> tokens;
    const at::NoGradGuard no_grad;
    while (static_cast<int64_t>(tokens.size()) < count) {
      const auto last = static_cast<int32_t>(ids.size() - 1);
      const Sequence sequence{ids.data(), nullptr, static_cast<int64_t>(ids.size()), 0, {&last, 1}};
      const auto pass = ForwardPass::Run(*model_, *base_, {sequence}, {nullptr}, [] {});
      at::Tensor logits = BaseLogits(pass.hidden_RD, WeightSet(*base_));
      if (!may_end) logits.select(1, kEnd).fill_(-INFINITY);
      tokens.push_back(logits.argmax(1).item<int32_t>());
      ids.push_back(tokens.back());
      if (tokens.back() == kEnd) break;
    }
    return tokens;
  }
  std::string Decode(const std::vector<int32_t>& ids) const {
    return base_->tokenizer().Decode(ids, {});
  }
  size_t NumTokens(const std::string& prompt) const {
    return base_->tokenizer().Encode(prompt, {.max_length = 200}).ids.size();
  }

  static constexpr int32_t kEnd = 2;

 private:
  std::shared_ptr<const Base> base_;
  std::unique_ptr<Model> model_;
};

TEST(GenerationTest, GreedyTokensAreThoseOfWholePasses) {
  const Reference reference;
  const auto engine = MakeEngine();
  for (int seed = 0; seed < 4; ++seed) {
    const std::string prompt = reference.Prompt(seed, 3 + 9 * seed);
    const Answer answer = Ask(*engine, Greedy(prompt, 20)).get();

    ASSERT_TRUE(answer.status.ok()) << answer.status;
    const Text& text = answer.texts.at(0);
    EXPECT_EQ(text.tokens, reference.Continue(prompt, 20)) << seed;
    EXPECT_EQ(text.finish, text.tokens.back() == Reference::kEnd ? "stop" : "length");
    EXPECT_EQ(text.text, reference.Decode(text.tokens));
  }
}

TEST(GenerationTest, WhoIsBesideATextDoesntChangeIt) {
  const Reference reference;
  const auto engine = MakeEngine();
  std::vector<std::future<Answer>> answers;
  for (int seed = 0; seed < 16; ++seed)
    answers.push_back(Ask(*engine, Greedy(reference.Prompt(seed, 2 + seed), 12)));

  for (int seed = 0; seed < 16; ++seed) {
    EXPECT_EQ(answers[static_cast<size_t>(seed)].get().texts.at(0).tokens,
              reference.Continue(reference.Prompt(seed, 2 + seed), 12))
        << seed;
  }
}

TEST(GenerationTest, ACacheThatIsTooSmallForAllPreemptsAndChangesNothing) {
  const Reference reference;
  // Keys and values of 7 blocks of 16 tokens: 3 layers, 2 heads of 8, in fp32.
  const auto engine = MakeEngine(7 * 16 * 3 * 2 * 2 * 8 * 4);
  std::vector<std::future<Answer>> answers;
  for (int seed = 0; seed < 5; ++seed) {
    GenerateRequest request = Greedy(reference.Prompt(seed, 10), 40);
    request.settings.sampling.logit_bias = {{Reference::kEnd, -100}};
    answers.push_back(Ask(*engine, std::move(request)));
  }

  for (int seed = 0; seed < 5; ++seed) {
    const Answer answer = answers[static_cast<size_t>(seed)].get();
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_EQ(answer.texts.at(0).tokens, reference.Continue(reference.Prompt(seed, 10), 40, false));
  }
  EXPECT_GT(engine->figures().preemptions, 0);
}

TEST(GenerationTest, OneSeedGivesOneTextForEachOfItsSequences) {
  const auto engine = MakeEngine();
  GenerateRequest request = Greedy(Reference().Prompt(3), 10);
  request.settings.sampling.temperature = 1.5;
  request.settings.n = 3;
  request.settings.seed = 11;

  const Answer first = Ask(*engine, request).get();
  auto beside = Ask(*engine, Greedy(Reference().Prompt(8), 30));
  const Answer again = Ask(*engine, request).get();
  request.settings.seed = 12;
  const Answer other = Ask(*engine, request).get();

  ASSERT_EQ(first.texts.size(), 3U);
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ(first.texts.at(i).tokens, again.texts.at(i).tokens);
  EXPECT_NE(first.texts.at(0).tokens, first.texts.at(1).tokens);
  EXPECT_NE(first.texts.at(0).tokens, other.texts.at(0).tokens);
  EXPECT_TRUE(beside.get().status.ok());
}

TEST(GenerationTest, AStopStringEndsTheTextInFrontOfIt) {
  const Reference reference;
  const auto engine = MakeEngine();
  const std::string whole = Ask(*engine, Greedy(reference.Prompt(1), 20)).get().texts.at(0).text;
  ASSERT_GT(whole.size(), 8U);
  GenerateRequest request = Greedy(reference.Prompt(1), 20);
  request.settings.stopping.stop = {whole.substr(5, 2)};

  const Answer answer = Ask(*engine, request).get();

  EXPECT_EQ(answer.texts.at(0).finish, "stop");
  EXPECT_EQ(answer.texts.at(0).text, whole.substr(0, whole.find(whole.substr(5, 2))));
}

TEST(GenerationTest, WhatCantBeGeneratedIsToldWithItsField) {
  const Reference reference;
  const auto engine = MakeEngine();
  const auto refusal = [&](const std::function<void(GenerateRequest&)>& change) {
    GenerateRequest request = Greedy(reference.Prompt(1), 5);
    change(request);
    Answer answer = Ask(*engine, request).get();
    EXPECT_TRUE(answer.texts.empty());
    return answer.status;
  };

  EXPECT_EQ(FieldOf(refusal([](auto& r) { r.settings.sampling.top_p = 1.5; })), "generation.top_p");
  EXPECT_EQ(refusal([](auto& r) { r.settings.stopping.max_tokens = 0; }).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal([](auto& r) { r.base = "nowhere"; }).code(), StatusCode::kNotFound);
  EXPECT_EQ(refusal([](auto& r) { r.base.clear(), r.version = "abc"; }).code(),
            StatusCode::kNotFound);
  EXPECT_EQ(refusal([](auto& r) { r.prompt.clear(); }).code(), StatusCode::kInvalidArgument);
  const Status longer = refusal([&](auto& r) { r.prompt = reference.Prompt(1, 500); });
  EXPECT_EQ(longer.code(), StatusCode::kInvalidArgument) << longer;
}

TEST(GenerationTest, ATextThatNobodyWaitsForEnds) {
  const auto engine = MakeEngine();
  GenerateRequest request = Greedy(Reference().Prompt(2), 100);
  request.settings.stopping.end_tokens = {};
  auto given_up = std::make_shared<std::atomic<bool>>(false);
  request.abandoned = [given_up] { return given_up->load(); };
  *given_up = true;

  EXPECT_EQ(Ask(*engine, request).get().status.code(), StatusCode::kCancelled);
  EXPECT_EQ(engine->figures().generations, 0);
}

TEST(GenerationTest, TheFirstPieceLeavesBeforeTheSecondTokenIsComputed) {
  const auto engine = MakeEngine();
  GenerateRequest request = Greedy(Reference().Prompt(2), 100);
  request.settings.stopping.min_tokens = 100;
  // Who leaves once it has the first piece has caused no second token.
  auto given_up = std::make_shared<std::atomic<bool>>(false);
  request.abandoned = [given_up] { return given_up->load(); };
  std::vector<int32_t> tokens;
  std::promise<Status> done;

  engine->Generate(
      std::move(request),
      [&](const GeneratedPiece& piece) {
        tokens.push_back(piece.token);
        *given_up = true;
      },
      [&](const StatusOr<GenerateResult>& result) { done.set_value(result.status()); });

  EXPECT_EQ(done.get_future().get().code(), StatusCode::kCancelled);
  EXPECT_EQ(tokens.size(), 1U);
  // Behind this one's answer all that came before is counted.
  EXPECT_TRUE(Ask(*engine, Greedy(Reference().Prompt(3), 1)).get().status.ok());
  EXPECT_LE(engine->figures().generated_tokens, 2);
}

TEST(GenerationTest, AnEngineThatStopsAnswersWhatIsUnderWay) {
  auto engine = MakeEngine();
  auto answer = Ask(*engine, Greedy(Reference().Prompt(2), 100));
  engine.reset();

  const Status status = answer.get().status;
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kUnavailable) << status;
}

/// A cache that holds less than the context of 128 tokens: 7 blocks of 16, of 3 layers with 2 heads
/// of 8 in fp32. The last token of a text isn't kept.
class SmallCacheTest : public ::testing::Test {
 protected:
  static constexpr int64_t kCacheBytes = 7 * 16 * 3 * 2 * 2 * 8 * 4;
  static constexpr size_t kHeld = 7 * 16 + 1;

  /// One that never ends by itself.
  static GenerateRequest Endless(const std::string& prompt) {
    GenerateRequest request = Greedy(prompt, 1);
    request.settings.stopping.max_tokens.reset();
    request.settings.sampling.logit_bias = {{Reference::kEnd, -100}};
    return request;
  }
  const Reference reference_;
  const std::unique_ptr<Engine> engine_ = MakeEngine(kCacheBytes);
};

TEST_F(SmallCacheTest, WithoutMaxTokensATextEndsWhereTheCacheIsFull) {
  const std::string prompt = reference_.Prompt(1, 10);

  const Answer answer = Ask(*engine_, Endless(prompt)).get();

  ASSERT_TRUE(answer.status.ok()) << answer.status;
  const Text& text = answer.texts.at(0);
  EXPECT_EQ(text.finish, "length");
  ASSERT_EQ(text.tokens.size(), kHeld - reference_.NumTokens(prompt));
  EXPECT_EQ(text.tokens, reference_.Continue(prompt, static_cast<int64_t>(text.tokens.size()),
                                             /*may_end=*/false));
}

TEST_F(SmallCacheTest, WithoutMaxTokensSeveralTextsEndThereToo) {
  GenerateRequest request = Endless(reference_.Prompt(1, 10));
  request.settings.n = 3;

  const Answer answer = Ask(*engine_, request).get();

  ASSERT_TRUE(answer.status.ok()) << answer.status;
  ASSERT_EQ(answer.texts.size(), 3U);
  for (const auto& [index, text] : answer.texts) {
    EXPECT_EQ(text.finish, "length");
    EXPECT_EQ(text.tokens.size(), kHeld - reference_.NumTokens(reference_.Prompt(1, 10)));
  }
}

TEST_F(SmallCacheTest, WhatIsAskedForAndCannotFitIsRefused) {
  GenerateRequest request = Endless(reference_.Prompt(1, 10));
  const auto room = static_cast<int64_t>(kHeld - reference_.NumTokens(request.prompt));
  request.settings.stopping.max_tokens = room;
  EXPECT_TRUE(Ask(*engine_, request).get().status.ok());
  request.settings.stopping.max_tokens = room + 1;
  const Status longer = Ask(*engine_, request).get().status;
  request = Endless(reference_.Prompt(1, 118));
  ASSERT_GT(reference_.NumTokens(request.prompt), kHeld);
  ASSERT_LT(reference_.NumTokens(request.prompt), 128U) << "the context holds it";
  const Status prompt = Ask(*engine_, request).get().status;

  EXPECT_EQ(longer.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(longer), "generation.max_tokens");
  EXPECT_THAT(longer.message(), HasSubstr("--kv-memory"));
  EXPECT_EQ(prompt.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(prompt), "prompt");
  EXPECT_THAT(prompt.message(), HasSubstr("--kv-memory"));
}

/// An adapter that was trained on texts, on the tiny base.
class LanguageVersionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TrainRequest request = testing::TextJob(
        kBase, {{"lora", {{"rank", 4}}}}, reference_.Prompt(5, 24),
        {{"max_steps", 30}, {"batch_size", 4}, {"learning_rate", 0.02}, {"precision", "FP32"}});
    auto outcome = testing::RunJob(*engine_, std::move(request));
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    outcome_ = std::move(*outcome);
    const auto loaded = testing::LoadTexts(*engine_, kBase, outcome_.artifact);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_TRUE(loaded->proved);
  }
  const Reference reference_;
  const std::unique_ptr<Engine> engine_ = MakeEngine();
  TrainOutcome outcome_;
};

TEST_F(LanguageVersionTest, ItLearntItsTextAndContinuesIt) {
  const Evaluation& last = outcome_.evaluations.back();
  EXPECT_LT(last.loss, 0.5);
  EXPECT_NEAR(last.metrics.at("perplexity"), std::exp(last.loss), 1e-9);
  EXPECT_GT(last.metrics.at("token_accuracy"), 0.8);
  const std::string text = reference_.Prompt(5, 24);
  GenerateRequest request = Greedy(reference_.Prompt(5, 6), 10);
  request.base.clear();
  request.version = outcome_.artifact.sha256;

  const Answer adapted = Ask(*engine_, request).get();

  ASSERT_TRUE(adapted.status.ok()) << adapted.status;
  EXPECT_THAT(text, HasSubstr(adapted.texts.at(0).text));
}

TEST_F(LanguageVersionTest, BaseAndAdapterShareSteps) {
  GenerateRequest adapted = Greedy(reference_.Prompt(5, 6), 12);
  adapted.base.clear();
  adapted.version = outcome_.artifact.sha256;
  const Answer alone = Ask(*engine_, adapted).get();
  std::vector<std::future<Answer>> adapters, bases;
  for (int i = 0; i < 4; ++i) {
    adapters.push_back(Ask(*engine_, adapted));
    bases.push_back(Ask(*engine_, Greedy(reference_.Prompt(i, 7), 12)));
  }

  for (auto& answer : adapters)
    EXPECT_EQ(answer.get().texts.at(0).tokens, alone.texts.at(0).tokens);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(bases[static_cast<size_t>(i)].get().texts.at(0).tokens,
              reference_.Continue(reference_.Prompt(i, 7), 12));
  }
}

TEST_F(LanguageVersionTest, AClassifierIsntAskedForText) {
  // And a language model for no labels.
  const auto answer = testing::Classify(*engine_, outcome_.artifact.sha256, {"x"});

  EXPECT_EQ(answer.status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace graft::worker::engine
