#include "worker/engine/serving/generation/penalties.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace graft::worker::engine::generation {
namespace {

using Scores = std::vector<float>;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Scores 2, -2, 4, -4, 6 of tokens 0 to 4 after the settings' changes.
Scores Applied(const GenerationSettings& settings, const std::vector<int32_t>& tokens,
               size_t prompt_tokens) {
  Scores scores = {2, -2, 4, -4, 6};
  const TokenHistory history{tokens, prompt_tokens};
  Penalties penalties;
  if (Penalties::Change(settings, history)) penalties.Apply(settings, history, scores);
  return scores;
}

TEST(PenaltiesTest, WhatIsUnsetChangesNothing) {
  GenerationSettings settings;
  const std::vector<int32_t> tokens = {0, 1, 2};
  EXPECT_FALSE(Penalties::Change(settings, {tokens, 1}));

  settings.sampling.repetition_penalty = 1;
  settings.sampling.presence_penalty = 0;
  settings.sampling.frequency_penalty = 0;
  settings.stopping.min_tokens = 0;
  settings.stopping.end_tokens = {3};

  EXPECT_FALSE(Penalties::Change(settings, {tokens, 1}));
}

TEST(PenaltiesTest, RepetitionCountsPromptAndGeneratedTokensOnce) {
  GenerationSettings settings;
  settings.sampling.repetition_penalty = 2;

  EXPECT_EQ(Applied(settings, {0, 0, 1, 1, 3}, 3), (Scores{1, -4, 4, -8, 6}));
}

TEST(PenaltiesTest, FrequencyCountsEachTimeThatATokenWasGenerated) {
  GenerationSettings settings;
  settings.sampling.frequency_penalty = 0.5;

  EXPECT_EQ(Applied(settings, {0, 0, 0, 1, 1, 4}, 2), (Scores{1.5, -3, 4, -4, 5.5}));
}

TEST(PenaltiesTest, PresenceCountsGeneratedTokensOnce) {
  GenerationSettings settings;
  settings.sampling.presence_penalty = -1;

  EXPECT_EQ(Applied(settings, {0, 1, 1, 2}, 1), (Scores{2, -1, 5, -4, 6}));
}

TEST(PenaltiesTest, ABiasIsAddedBeforeRepetitionScales) {
  GenerationSettings settings;
  settings.sampling.logit_bias = {{1, 6}, {4, -100}};
  settings.sampling.repetition_penalty = 2;

  EXPECT_EQ(Applied(settings, {1}, 1), (Scores{2, 2, 4, -4, -94}));
}

TEST(PenaltiesTest, EndTokensWaitUntilEnoughWasGenerated) {
  GenerationSettings settings;
  settings.stopping.min_tokens = 2;
  settings.stopping.end_tokens = {0, 4};

  EXPECT_EQ(Applied(settings, {1, 1, 1}, 2), (Scores{kMinusInfinity, -2, 4, -4, kMinusInfinity}));
  EXPECT_EQ(Applied(settings, {1, 1, 1, 1}, 2), (Scores{2, -2, 4, -4, 6}));
}

TEST(PenaltiesTest, TokensWithoutAScoreCountForNothing) {
  GenerationSettings settings;
  settings.sampling.repetition_penalty = 2;
  settings.sampling.frequency_penalty = 1;
  settings.sampling.logit_bias = {{17, 1}, {-1, 1}};
  settings.stopping.min_tokens = 9;
  settings.stopping.end_tokens = {5};

  EXPECT_EQ(Applied(settings, {5, -1, 2, 1000000, 2, -7}, 3), (Scores{2, -2, 1, -4, 6}));
}

TEST(PenaltiesTest, NothingIsLeftOfACallInTheNext) {
  GenerationSettings settings;
  settings.sampling.repetition_penalty = 2;
  settings.sampling.frequency_penalty = 1;
  const std::vector<int32_t> tokens = {0, 1, 1, 2, 2, 2};
  Penalties penalties;
  Scores first = {2, -2, 4, -4, 6}, second = first;

  penalties.Apply(settings, {tokens, 2}, first);
  penalties.Apply(settings, {tokens, 2}, second);

  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace graft::worker::engine::generation
