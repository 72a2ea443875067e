#include "worker/engine/serving/generation/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace graft::worker::engine::generation {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> NormalRow(uint32_t seed, size_t n, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> row(n);
  for (float& logit : row) logit = normal(random);
  return row;
}

GenerationSettings With(std::optional<double> temperature, std::optional<int64_t> top_k = {},
                        std::optional<double> top_p = {}, std::optional<double> min_p = {}) {
  GenerationSettings settings;
  settings.sampling.temperature = temperature;
  settings.sampling.top_k = top_k;
  settings.sampling.top_p = top_p;
  settings.sampling.min_p = min_p;
  return settings;
}

/// One of each path through the distribution.
const GenerationSettings kKinds[] = {With({}),
                                     With(0.7),
                                     With(0.7, 20),
                                     With(1.5, {}, 0.9),
                                     With({}, {}, {}, 0.05),
                                     With(0.9, 40, 0.8, 0.01)};

/// The statistic's distance from what is expected, in standard deviations; cells of less than 5
/// expected draws count together.
double ChiSquareDeviations(const std::vector<int>& drawn, const std::vector<float>& probabilities,
                           int draws) {
  double statistic = 0, rest_expected = 0, rest_drawn = 0, cells = 0;
  const auto add = [&](double count, double expected) {
    statistic += (count - expected) * (count - expected) / expected;
    ++cells;
  };
  for (size_t token = 0; token < drawn.size(); ++token) {
    const double expected = static_cast<double>(probabilities[token]) * draws;
    if (expected >= 5) {
      add(drawn[token], expected);
    } else {
      rest_expected += expected;
      rest_drawn += drawn[token];
    }
  }
  if (rest_expected > 1) add(rest_drawn, rest_expected);
  const double freedom = std::max(cells - 1, 1.0);
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

TEST(SamplerTest, AHundredThousandDrawsAreDistributedAsTheProbabilitiesSay) {
  constexpr int kDraws = 100'000;
  const std::vector<float> logits = NormalRow(1, 150, 2);
  const std::vector<int32_t> tokens(1000);
  Sampler sampler;
  for (const GenerationSettings& settings : kKinds) {
    const auto probabilities = sampler.Probabilities(logits, settings, {tokens, 0});
    ASSERT_TRUE(probabilities.ok());
    std::vector<int> drawn(logits.size());

    for (int i = 0; i < kDraws; ++i) {
      const auto step = static_cast<size_t>(i % 1000);
      const DrawKey key{.seed = 9, .sequence = static_cast<uint32_t>(i / 1000)};
      const auto choice = sampler.Sample(logits, settings, {std::span(tokens).first(step), 0}, key);
      ASSERT_TRUE(choice.ok());
      ASSERT_GT((*probabilities)[static_cast<size_t>(choice->token)], 0);
      ++drawn[static_cast<size_t>(choice->token)];
    }

    // One in a thousand would be past 3.5; the seed is fixed.
    EXPECT_LT(std::abs(ChiSquareDeviations(drawn, *probabilities, kDraws)), 3.5);
  }
}

TEST(SamplerTest, ADrawDependsOnSeedSequenceAndStepAloneInAnyOrderOfCalls) {
  struct Call {
    size_t row, kind, step;
    DrawKey key;
    int32_t token = -1;
  };
  std::vector<std::vector<float>> rows;
  for (uint32_t row = 0; row < 5; ++row) rows.push_back(NormalRow(row, 500 + row * 99, 2));
  const std::vector<int32_t> tokens(50);
  std::vector<Call> calls;
  for (size_t i = 0; i < 600; ++i) {
    const DrawKey key{.seed = i % 11, .sequence = static_cast<uint32_t>(i % 4)};
    calls.push_back({i % rows.size(), i % std::size(kKinds), i % 50, key});
  }
  const auto sample = [&](Sampler& sampler, const Call& call) {
    const TokenHistory history{std::span(tokens).first(call.step), 0};
    return sampler.Sample(rows[call.row], kKinds[call.kind], history, call.key)->token;
  };
  Sampler first, second;
  for (Call& call : calls) call.token = sample(first, call);

  std::ranges::shuffle(calls, std::mt19937(3));
  for (const Call& call : calls) EXPECT_EQ(sample(second, call), call.token);
}

TEST(SamplerTest, SeedSequenceAndStepEachChangeTheDraw) {
  const std::vector<float> logits(1 << 20, 0.0F);
  const std::vector<int32_t> tokens = {1, 2};
  Sampler sampler;
  const auto draw = [&](DrawKey key, size_t step) {
    return sampler.Sample(logits, {}, {std::span(tokens).first(step), 0}, key)->token;
  };

  const int32_t token = draw({.seed = 1, .sequence = 0}, 0);

  EXPECT_NE(draw({.seed = 2, .sequence = 0}, 0), token);
  EXPECT_NE(draw({.seed = 1, .sequence = 1}, 0), token);
  EXPECT_NE(draw({.seed = 1, .sequence = 0}, 1), token);
  EXPECT_EQ(draw({.seed = 1, .sequence = 0}, 0), token);
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheLikeliest) {
  std::vector<float> logits = NormalRow(2, 1000, 1);
  logits[700] = logits[130] = logits[131] = 9;
  Sampler sampler;

  EXPECT_EQ(sampler.Sample(logits, With(0), {}, {})->token, 130);
  EXPECT_EQ(sampler.Sample(logits, With(0, 5, 0.1, 0.9), {}, {.seed = 4})->token, 130);
  EXPECT_EQ(sampler.Sample(logits, With({}, {}, 0.0), {}, {.seed = 4})->token, 130)
      << "top_p of 0 leaves the same one";
}

TEST(SamplerTest, GreedyHearsPenalties) {
  const std::vector<float> logits = {1, 5, 4.9F};
  const std::vector<int32_t> tokens = {1};
  GenerationSettings settings = With(0);
  settings.sampling.presence_penalty = 1;
  Sampler sampler;

  EXPECT_EQ(sampler.Sample(logits, settings, {tokens, 0}, {})->token, 2);
  EXPECT_EQ(sampler.Sample(logits, settings, {tokens, 1}, {})->token, 1) << "it's of the prompt";
}

TEST(SamplerTest, NanAndInfinityAreErrorsAndNeverTokens) {
  for (const float wrong : {kNan, -kNan, kInfinity}) {
    for (const size_t at : {0, 63, 64, 199}) {
      for (GenerationSettings settings : {With(0), With({}), With(0.5, 5), With({}, {}, 0.5)}) {
        std::vector<float> logits(200, 0.0F);
        logits[at] = wrong;
        // What is never chosen isn't passed over either.
        settings.stopping.end_tokens = {static_cast<int32_t>(at)};
        settings.stopping.min_tokens = 5;
        Sampler sampler;

        const auto choice = sampler.Sample(logits, settings, {}, {});

        ASSERT_EQ(choice.status().code(), StatusCode::kFailedPrecondition);
        EXPECT_EQ(choice.status().details()[0].reason, "NOT_FINITE");
      }
    }
  }
}

TEST(SamplerTest, ARowWithoutATokenThatMayComeIsAnError) {
  std::vector<float> logits(100, -kInfinity);
  Sampler sampler;
  EXPECT_EQ(sampler.Sample(logits, {}, {}, {}).status().details()[0].reason, "NO_TOKEN");
  EXPECT_FALSE(sampler.Sample({}, {}, {}, {}).ok());

  logits[7] = 1;
  GenerationSettings settings;
  EXPECT_EQ(sampler.Sample(logits, settings, {}, {})->token, 7);
  settings.stopping.end_tokens = {7};
  settings.stopping.min_tokens = 1;
  EXPECT_EQ(sampler.Sample(logits, settings, {}, {}).status().details()[0].reason, "NO_TOKEN");
}

TEST(SamplerTest, ALogitThatATemperatureTakesOutOfRangeIsAnError) {
  const std::vector<float> logits = {1e35F, 0};
  Sampler sampler;

  EXPECT_EQ(sampler.Sample(logits, With(1e-4), {}, {}).status().details()[0].reason, "NOT_FINITE");
}

TEST(SamplerTest, TokensThatAreBarredNeverCome) {
  std::vector<float> logits(300, -kInfinity);
  for (size_t token = 0; token < logits.size(); token += 3) logits[token] = 0;
  Sampler sampler;
  for (const GenerationSettings& settings : kKinds) {
    for (uint64_t seed = 0; seed < 200; ++seed)
      EXPECT_EQ(sampler.Sample(logits, settings, {}, {.seed = seed})->token % 3, 0);
  }
}

TEST(SamplerTest, LogProbabilitiesAreOfTheRawLogits) {
  const std::vector<float> logits = {1, 2, 3};
  const double sum = std::exp(1) + std::exp(2) + std::exp(3);
  GenerationSettings settings = With(0.2, 2, 0.9);
  settings.sampling.logit_bias = {{0, 50}};
  settings.sampling.logprobs = 2;
  Sampler sampler;

  const auto choice = sampler.Sample(logits, settings, {}, {});

  EXPECT_EQ(choice->token, 0) << "as biased";
  EXPECT_NEAR(*choice->log_probability, 1 - std::log(sum), 1e-6);
  ASSERT_EQ(choice->best.size(), 2U);
  EXPECT_EQ(choice->best[0].token, 2);
  EXPECT_NEAR(choice->best[0].log_probability, 3 - std::log(sum), 1e-6);
  EXPECT_EQ(choice->best[1].token, 1);
}

TEST(SamplerTest, LogProbabilitiesComeOnlyIfTheyAreAskedFor) {
  const std::vector<float> logits = {1, 2, 3};
  GenerationSettings settings = With(0);
  Sampler sampler;
  EXPECT_FALSE(sampler.Sample(logits, settings, {}, {})->log_probability.has_value());

  settings.sampling.logprobs = 0;
  const auto choice = sampler.Sample(logits, settings, {}, {});

  EXPECT_TRUE(choice->log_probability.has_value());
  EXPECT_TRUE(choice->best.empty());
}

/// The definition in double precision, with a full sort. Ties aside.
std::vector<double> Reference(const std::vector<float>& logits, const SamplingSettings& sampling) {
  std::vector<size_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (sampling.top_k.value_or(0) > 0) order.resize(static_cast<size_t>(*sampling.top_k));
  const auto weight = [&](size_t token) {
    return std::exp((static_cast<double>(logits[token]) - logits[order[0]]) /
                    sampling.temperature.value_or(1));
  };
  double total = 0, sum = 0;
  for (const size_t token : order) total += weight(token);
  size_t kept = 0;
  while (kept < order.size() && (kept == 0 || sum < sampling.top_p.value_or(1) * total))
    sum += weight(order[kept++]);
  while (kept > 1 && weight(order[kept - 1]) < sampling.min_p.value_or(0)) --kept;
  order.resize(kept);
  total = 0;
  for (const size_t token : order) total += weight(token);
  std::vector<double> probabilities(logits.size());
  for (const size_t token : order) probabilities[token] = weight(token) / total;
  return probabilities;
}

TEST(SamplerTest, LargeVocabulariesHaveTheDistributionOfAFullSort) {
  Sampler sampler;
  for (const float scale : {0.3F, 3.0F, 8.0F}) {
    const std::vector<float> logits = NormalRow(8, 151'936, scale);
    for (const GenerationSettings& settings : kKinds) {
      const auto ours = sampler.Probabilities(logits, settings, {});
      const std::vector<double> wanted = Reference(logits, settings.sampling);
      for (size_t token = 0; token < logits.size(); ++token)
        ASSERT_NEAR((*ours)[token], wanted[token], 1e-6) << token << " scale " << scale;
    }
  }
}

}  // namespace
}  // namespace graft::worker::engine::generation
