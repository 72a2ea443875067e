#include "worker/engine/serving/generation/settings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace graft::worker::engine::generation {
namespace {

constexpr SettingsLimits kLimits{.vocabulary = 1000, .context_tokens = 2048};

using Change = std::function<void(GenerationSettings&)>;

Status Checked(const Change& change) {
  GenerationSettings settings;
  change(settings);
  return Validate(settings, kLimits);
}

/// That the change is refused at the field, in words that name it.
void ExpectFault(const Change& change, const std::string& field) {
  const Status status = Checked(change);
  ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
  ASSERT_FALSE(status.details().empty());
  EXPECT_EQ(status.details()[0].field, field) << status;
  EXPECT_NE(status.message().find(field), std::string::npos) << status;
}

TEST(SettingsTest, NothingSetIsValid) {
  EXPECT_TRUE(Checked([](GenerationSettings&) {}).ok());
}

TEST(SettingsTest, TheEndsOfEveryRangeAreValid) {
  for (const bool high : {false, true}) {
    const Status status = Checked([high](GenerationSettings& settings) {
      SamplingSettings& sampling = settings.sampling;
      sampling.temperature = high ? 100 : 0;
      sampling.top_k = high ? INT64_MAX : 0;
      sampling.top_p = sampling.min_p = high ? 1 : 0;
      sampling.repetition_penalty = high ? 100 : 0.01;
      sampling.presence_penalty = sampling.frequency_penalty = high ? 2 : -2;
      sampling.logit_bias = {{high ? 999 : 0, high ? 100.0 : -100.0}};
      sampling.logprobs = high ? kMostLogProbabilities : 0;
      settings.stopping.max_tokens = high ? 2048 : 1;
      settings.stopping.min_tokens = high ? 2048 : 0;
      settings.stopping.end_tokens.assign(high ? kMostEndTokens : 1, 999);
      settings.stopping.stop.assign(high ? kMostStopStrings : 1,
                                    std::string(high ? kMostStopBytes : 1, 'x'));
      settings.n = high ? kMostSequences : 1;
      settings.seed = high ? UINT64_MAX : 0;
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(SettingsTest, NumbersOutsideTheirRangeAreNamed) {
  using Number = std::optional<double> SamplingSettings::*;
  struct Row {
    Number number;
    std::string field;
    std::vector<double> wrong;
  };
  const Row rows[] = {
      {&SamplingSettings::temperature, "temperature", {-0.001, 100.1}},
      {&SamplingSettings::top_p, "top_p", {-0.1, 1.0001}},
      {&SamplingSettings::min_p, "min_p", {-0.1, 1.0001}},
      {&SamplingSettings::repetition_penalty, "repetition_penalty", {0, -1, 1e-40, 101}},
      {&SamplingSettings::presence_penalty, "presence_penalty", {-2.01, 2.01}},
      {&SamplingSettings::frequency_penalty, "frequency_penalty", {-2.01, 2.01}},
  };
  for (const Row& row : rows) {
    std::vector<double> wrong = row.wrong;
    wrong.insert(wrong.end(), {std::nan(""), HUGE_VAL, -HUGE_VAL});
    for (const double value : wrong) {
      ExpectFault([&](GenerationSettings& settings) { settings.sampling.*row.number = value; },
                  "generation." + row.field);
    }
  }
}

TEST(SettingsTest, WholeNumbersOutsideTheirRangeAreNamed) {
  for (const int64_t wrong : {int64_t{0}, int64_t{-1}, int64_t{2049}, INT64_MAX}) {
    ExpectFault([&](auto& settings) { settings.stopping.max_tokens = wrong; },
                "generation.max_tokens");
  }
  ExpectFault([](auto& settings) { settings.sampling.top_k = -1; }, "generation.top_k");
  ExpectFault([](auto& settings) { settings.sampling.logprobs = 21; }, "generation.logprobs");
  ExpectFault([](auto& settings) { settings.n = 0; }, "generation.n");
  ExpectFault([](auto& settings) { settings.n = 65; }, "generation.n");
  ExpectFault([](auto& settings) { settings.stopping.min_tokens = -1; }, "generation.min_tokens");
}

TEST(SettingsTest, MoreSequencesThanRunAtOnceAreRefusedWithTheirNumber) {
  const Status status = Checked([](auto& settings) { settings.n = 65; });

  EXPECT_EQ(status.message(), "generation.n is 65; it must be from 1 to 64");
}

TEST(SettingsTest, MoreTokensMustNotBeAskedForThanMayCome) {
  ExpectFault(
      [](auto& settings) {
        settings.stopping.max_tokens = 10;
        settings.stopping.min_tokens = 11;
      },
      "generation.min_tokens");
}

TEST(SettingsTest, ABiasNamesATokenOfTheVocabularyOnceAndAFiniteNumber) {
  for (const TokenBias wrong :
       {TokenBias{1000, 1}, {-1, 1}, {3, 100.5}, {3, -101}, {3, std::nan("")}}) {
    ExpectFault(
        [&](auto& settings) {
          settings.sampling.logit_bias = {{1, 1}, wrong};
        },
        "generation.logit_bias[1]");
  }
  ExpectFault(
      [](auto& settings) {
        settings.sampling.logit_bias = {{7, 1}, {8, 1}, {7, 2}};
      },
      "generation.logit_bias");
  ExpectFault([](auto& settings) { settings.sampling.logit_bias.resize(kMostBiases + 1); },
              "generation.logit_bias");
}

TEST(SettingsTest, StopStringsAreBoundedAndText) {
  const auto with = [](std::vector<std::string> stop) {
    return
        [stop = std::move(stop)](GenerationSettings& settings) { settings.stopping.stop = stop; };
  };
  ExpectFault(with({"a", "b", ""}), "generation.stop[2]");
  ExpectFault(with({std::string(kMostStopBytes + 1, 'x')}), "generation.stop[0]");
  ExpectFault(with({"ok", "\xff\xfe"}), "generation.stop[1]");
  ExpectFault(with(std::vector<std::string>(kMostStopStrings + 1, "x")), "generation.stop");
}

TEST(SettingsTest, EndTokensAreOfTheVocabulary) {
  ExpectFault(
      [](auto& settings) {
        settings.stopping.end_tokens = {1, 1000};
      },
      "generation.end_tokens[1]");
  ExpectFault([](auto& settings) { settings.stopping.end_tokens.resize(kMostEndTokens + 1); },
              "generation.end_tokens");
}

TEST(SettingsTest, TheCallerSaysWhereTheFieldsStand) {
  GenerationSettings settings;
  settings.sampling.top_p = 2;

  EXPECT_EQ(Validate(settings, kLimits, "").details()[0].field, "top_p");
  EXPECT_EQ(Validate(settings, kLimits, "body.sampling").details()[0].field, "body.sampling.top_p");
}

TEST(SettingsTest, ATemperatureOfZeroIsGreedyAndAnAbsentOneIsNot) {
  SamplingSettings sampling;
  EXPECT_FALSE(sampling.is_greedy());
  sampling.temperature = 0;
  EXPECT_TRUE(sampling.is_greedy());
  sampling.temperature = kLeastTemperature;
  EXPECT_FALSE(sampling.is_greedy());
}

}  // namespace
}  // namespace graft::worker::engine::generation
