/// Log-probabilities of given texts: those of the reference's logits, token by token, however the
/// text is divided into prompt and text, whoever is beside it; faults are told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/families/families.h"
#include "worker/engine/passes/forward_pass.h"
#include "worker/engine/serving/token_scores.h"

namespace graft::worker::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Pointwise;

std::unique_ptr<Engine> MakeEngine(const std::string& bases = testing::DecoderFolder(),
                                   size_t max_waiting = 4096) {
  EngineOptions options;
  options.bases = bases;
  options.threads = 2;
  options.max_waiting = max_waiting;
  options.base_precision = spec::Precision::kFp32;
  return std::move(Engine::Create(std::move(options))).value();
}

StatusOr<ScoreResult> Score(Engine& engine, const std::string& base, std::vector<ScoreInput> inputs,
                            Abandoned abandoned = {}, int best = 0) {
  auto promise = std::make_shared<std::promise<StatusOr<ScoreResult>>>();
  auto future = promise->get_future();
  engine.Score({.base = base,
                .version = {},
                .inputs = std::move(inputs),
                .best = best,
                .abandoned = abandoned},
               [promise](StatusOr<ScoreResult> result) { promise->set_value(std::move(result)); });
  return future.get();
}

std::string Joined(const TextScore& score) {
  std::string text;
  for (const ScoredToken& token : score.tokens) text += token.text;
  return text;
}

std::vector<float> LogProbabilities(const TextScore& score) {
  std::vector<float> values;
  for (const ScoredToken& token : score.tokens)
    values.push_back(token.log_probability.value_or(std::nanf("")));
  return values;
}

/// What a whole pass gives for each token but the first.
std::vector<float> Expected(const std::string& base_id, const std::string& text) {
  const auto base =
      *Base::Load(base_id, testing::DecoderFolder() + "/" + base_id, at::kFloat, at::kCPU);
  const auto model = *MakeModel(*base);
  const std::vector<int32_t> ids = base->tokenizer().Encode(text, {}).ids;
  const Sequence sequence{ids.data(), nullptr, static_cast<int64_t>(ids.size())};
  const auto pass = ForwardPass::Run(*model, *base, {sequence}, {nullptr}, [] {});
  const at::Tensor logs = BaseLogits(pass.hidden_RD, WeightSet(*base)).log_softmax(1);
  std::vector<float> values;
  for (size_t i = 1; i < ids.size(); ++i)
    values.push_back(logs[static_cast<int64_t>(i) - 1][ids[i]].item<float>());
  return values;
}

MATCHER_P(IsNear, most, "") { return std::abs(std::get<0>(arg) - std::get<1>(arg)) <= most; }

TEST(TokenScoresTest, AreThoseOfTheReferencesLogits) {
  for (const std::string name : {"llama-full", "mistral-full", "qwen2-window-full", "qwen3-full"}) {
    const auto golden = testing::LoadGoldenCase(name, at::kFloat, testing::DecoderFolder());
    const at::Tensor logits = golden.expected.at("logits");
    std::vector<int32_t> next;
    for (int64_t i = 0; i < logits.size(0); ++i) next.push_back(static_cast<int32_t>(7 * i % 80));

    const auto scores =
        ScoreTokens(golden.expected.at("hidden"), next, 3, WeightSet(*golden.base), [] {});

    ASSERT_TRUE(scores.ok()) << scores.status();
    const at::Tensor logs = logits.log_softmax(1);
    for (size_t i = 0; i < next.size(); ++i) {
      const at::Tensor row = logs[static_cast<int64_t>(i)];
      EXPECT_NEAR(scores->of_next[i], row[next[i]].item<float>(), 2e-4) << name << " row " << i;
      const auto [values, tokens] = row.topk(3);
      ASSERT_EQ(scores->best[i].size(), 3U);
      for (int64_t b = 0; b < 3; ++b) {
        const TokenScore& likely = scores->best[i][static_cast<size_t>(b)];
        EXPECT_EQ(likely.token, tokens[b].item<int64_t>()) << name << " row " << i;
        EXPECT_NEAR(likely.log_probability, values[b].item<float>(), 2e-4);
      }
    }
  }
}

TEST(TokenScoresTest, MoreLogitsThanAPartHoldsAreScoredPartByPart) {
  const auto golden = testing::LoadGoldenCase("llama-full", at::kFloat, testing::DecoderFolder());
  const int64_t part = (int64_t{64} << 20) / (80 * 4), rows = part + 5;
  const at::Tensor few = golden.expected.at("hidden").narrow(0, 0, 5);
  const at::Tensor many = at::cat({few.narrow(0, 0, 1).expand({part, few.size(1)}), few}, 0);
  const std::vector<int32_t> next(static_cast<size_t>(rows), 11);
  int yields = 0;

  const auto scores = ScoreTokens(many, next, 0, WeightSet(*golden.base), [&] { ++yields; });

  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(yields, 1);
  const auto alone = *ScoreTokens(few, std::vector<int32_t>(5, 11), 0, WeightSet(*golden.base), {});
  const std::vector<float> last(scores->of_next.end() - 5, scores->of_next.end());
  EXPECT_THAT(last, Pointwise(IsNear(1e-5), alone.of_next));
  EXPECT_NEAR(scores->of_next.front(), alone.of_next.front(), 1e-5);
  EXPECT_TRUE(scores->best.empty());
}

TEST(TokenScoresTest, LogitsThatAreNotFiniteAreTold) {
  const auto golden = testing::LoadGoldenCase("llama-full", at::kFloat, testing::DecoderFolder());
  at::Tensor hidden = golden.expected.at("hidden").clone();
  hidden[1].fill_(NAN);
  const std::vector<int32_t> next(static_cast<size_t>(hidden.size(0)), 3);

  const auto scores = ScoreTokens(hidden, next, 2, WeightSet(*golden.base), {});

  EXPECT_EQ(scores.status().code(), StatusCode::kFailedPrecondition);
}

TEST(ScoreTest, EveryTokenButTheFirstHasTheLogProbabilityOfAWholePass) {
  const auto engine = MakeEngine();
  for (const std::string base : {"base-llama", "base-qwen2-window"}) {
    const std::string text = "the cat sat on the mat and looked at the moon";
    const auto result = Score(*engine, base, {{"", text}, {"", "a"}, {"", "moon moon"}});

    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->base_fingerprint.empty());
    const TextScore& score = result->scores.front();
    std::vector<float> expected = Expected(base, text);
    ASSERT_EQ(score.tokens.size() + static_cast<size_t>(score.prompt_tokens), expected.size() + 1);
    std::vector<float> actual = LogProbabilities(score);
    if (score.prompt_tokens == 0) {
      EXPECT_FALSE(score.tokens.front().log_probability.has_value());
      actual.erase(actual.begin());
    }
    EXPECT_THAT(actual, Pointwise(IsNear(1e-4), expected)) << base;
  }
}

TEST(ScoreTest, APromptIsReadAndNotScored) {
  const auto engine = MakeEngine();
  const auto result = Score(*engine, "base-llama", {{"", "the cat sat"}, {"the cat", " sat"}});

  ASSERT_TRUE(result.ok()) << result.status();
  const TextScore& whole = result->scores[0];
  const TextScore& end = result->scores[1];
  ASSERT_GT(end.prompt_tokens, whole.prompt_tokens);
  const auto skipped = static_cast<ptrdiff_t>(end.prompt_tokens - whole.prompt_tokens);
  std::vector<float> expected = LogProbabilities(whole);
  expected.erase(expected.begin(), expected.begin() + skipped);
  EXPECT_THAT(LogProbabilities(end), Pointwise(IsNear(1e-5), expected));
  EXPECT_EQ(Joined(end), " sat");
}

TEST(ScoreTest, TokensAreScoredAsTheTextThatTheyAre) {
  const auto engine = MakeEngine();
  const std::string text = "the cat sat on the mat";

  const auto as_text = Score(*engine, "base-llama", {{"", text, {}}}, {}, 2);
  ASSERT_TRUE(as_text.ok()) << as_text.status();
  std::vector<int32_t> ids;
  for (const ScoredToken& token : as_text->scores[0].tokens) ids.push_back(token.token);
  const auto as_tokens = Score(*engine, "base-llama", {{"", "", ids}}, {}, 2);

  ASSERT_TRUE(as_tokens.ok()) << as_tokens.status();
  const auto& expected = as_text->scores[0].tokens;
  const auto& tokens = as_tokens->scores[0].tokens;
  ASSERT_EQ(tokens.size(), expected.size());
  EXPECT_FALSE(tokens[0].log_probability.has_value());
  EXPECT_TRUE(tokens[0].best.empty());
  for (size_t i = 1; i < tokens.size(); ++i) {
    EXPECT_NEAR(*tokens[i].log_probability, *expected[i].log_probability, 1e-5);
    ASSERT_EQ(tokens[i].best.size(), 2U);
    EXPECT_GE(tokens[i].best[0].log_probability, tokens[i].best[1].log_probability);
    EXPECT_LE(*tokens[i].log_probability, tokens[i].best[0].log_probability + 1e-6);
  }
}

TEST(ScoreTest, TokensOutsideOfTheVocabularyAreRefused) {
  const auto engine = MakeEngine();

  for (const int32_t token : {-1, 1'000'000}) {
    const Status status = Score(*engine, "base-llama", {{"", "", {3, token}}}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(std::to_string(token)));
  }
  EXPECT_EQ(Score(*engine, "base-llama", {{"", "x", {}}}, {}, 21).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(ScoreTest, WhatCannotBeScoredIsRefusedByItsPlace) {
  const auto engine = MakeEngine();
  std::string long_text;
  for (int i = 0; i < 200; ++i) long_text += "the cat ";

  const auto too_long = Score(*engine, "base-llama", {{"", "a"}, {"", long_text}});
  EXPECT_EQ(too_long.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(too_long.status()), "inputs[1].text");
  EXPECT_THAT(too_long.status().message(), HasSubstr("128"));
  EXPECT_EQ(FieldOf(Score(*engine, "base-llama", {{"the cat", ""}}).status()), "inputs[0].text");
  EXPECT_EQ(FieldOf(Score(*engine, "base-llama", {}).status()), "inputs");
  EXPECT_EQ(Score(*engine, "nowhere", {{"", "a"}}).status().code(), StatusCode::kNotFound);
  const auto encoders = MakeEngine(testing::GoldenFolder());
  EXPECT_EQ(Score(*encoders, "base-bert", {{"", "a"}}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(ScoreTest, LimitsAndCallersWhoLeaveAreHeeded) {
  const auto engine = MakeEngine(testing::DecoderFolder(), 2);
  const auto too_many = Score(*engine, "base-llama", {{"", "a"}, {"", "b"}, {"", "c"}});
  EXPECT_EQ(too_many.status().code(), StatusCode::kResourceExhausted);
  const auto left = Score(*engine, "base-llama", {{"", "the cat sat"}}, [] { return true; });
  EXPECT_EQ(left.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace graft::worker::engine
