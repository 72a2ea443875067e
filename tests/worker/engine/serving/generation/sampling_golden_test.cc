/// Next-token probabilities against transformers' processors (tests/golden/make_sampling.py).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/safetensors/safetensors.h"
#include "worker/engine/serving/generation/sampling.h"

namespace graft::worker::engine::generation {
namespace {

constexpr size_t kMostBytes = size_t{16} << 20;

struct GoldenCase {
  std::span<const float> logits;
  std::vector<int32_t> tokens;
  size_t prompt_tokens = 0;
  GenerationSettings settings;
  std::map<size_t, float> probabilities;
  std::string description;

  TokenHistory history() const { return {tokens, prompt_tokens}; }
};

template <typename T>
std::vector<T> ReadTensor(const safetensors::View& view, const char* name) {
  const safetensors::TensorView* tensor = view.Find(name);
  if (tensor == nullptr) throw std::runtime_error(std::string("no tensor ") + name);
  std::vector<T> values(tensor->data.size() / sizeof(T));
  std::memcpy(values.data(), tensor->data.data(), tensor->data.size());
  return values;
}

template <typename T>
std::optional<T> Optional(const Json& json, const char* name) {
  return json.contains(name) ? std::optional(json.at(name).get<T>()) : std::nullopt;
}

GenerationSettings ReadSettings(const Json& golden) {
  const Json& json = golden.at("settings");
  GenerationSettings settings;
  SamplingSettings& sampling = settings.sampling;
  for (const Json& entry : json.value("logit_bias", Json::array()))
    sampling.logit_bias.push_back({entry.at(0), entry.at(1)});
  sampling.repetition_penalty = Optional<double>(json, "repetition_penalty");
  sampling.frequency_penalty = Optional<double>(json, "frequency_penalty");
  sampling.presence_penalty = Optional<double>(json, "presence_penalty");
  sampling.temperature = Optional<double>(json, "temperature");
  sampling.top_k = Optional<int64_t>(json, "top_k");
  sampling.top_p = Optional<double>(json, "top_p");
  sampling.min_p = Optional<double>(json, "min_p");
  settings.stopping.min_tokens = Optional<int64_t>(json, "min_tokens");
  settings.stopping.end_tokens = golden.at("end_tokens").get<std::vector<int32_t>>();
  return settings;
}

class SamplingGoldenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = GRAFT_SOURCE_DIR "/tests/golden/data/sampling/";
    const auto text = ReadFile(folder + "cases.json", kMostBytes);
    const auto tables = ReadFile(folder + "tables.safetensors", kMostBytes);
    ASSERT_TRUE(text.ok() && tables.ok());
    const auto view = safetensors::View::Parse(*tables, "tables");
    const auto json = ParseJson(*text, "cases");
    ASSERT_TRUE(view.ok() && json.ok());
    logits_RV_ = ReadTensor<float>(*view, "logits");
    vocabulary_ = static_cast<size_t>(view->Find("logits")->shape[1]);
    const auto offsets = ReadTensor<int32_t>(*view, "offsets");
    const auto tokens = ReadTensor<int32_t>(*view, "tokens");
    const auto probabilities = ReadTensor<float>(*view, "probabilities");
    for (const Json& golden : *json) {
      GoldenCase& added = cases_.emplace_back();
      added.logits =
          std::span(logits_RV_).subspan(golden.at("row").get<size_t>() * vocabulary_, vocabulary_);
      added.tokens = golden.at("prompt").get<std::vector<int32_t>>();
      added.prompt_tokens = added.tokens.size();
      for (const Json& token : golden.at("generated")) added.tokens.push_back(token);
      added.settings = ReadSettings(golden);
      added.description = golden.dump();
      for (auto i = offsets[cases_.size() - 1]; i < offsets[cases_.size()]; ++i)
        added.probabilities[static_cast<size_t>(tokens[i])] = probabilities[i];
    }
  }

  std::vector<float> logits_RV_;
  size_t vocabulary_ = 0;
  std::vector<GoldenCase> cases_;
  Sampler sampler_;
};

TEST_F(SamplingGoldenTest, ProbabilitiesAreThoseOfTransformersProcessors) {
  ASSERT_GE(cases_.size(), 200U);
  double worst = 0;
  for (const GoldenCase& golden : cases_) {
    const auto ours = sampler_.Probabilities(golden.logits, golden.settings, golden.history());
    ASSERT_TRUE(ours.ok()) << golden.description << ours.status();
    for (size_t token = 0; token < vocabulary_; ++token) {
      const auto found = golden.probabilities.find(token);
      const float wanted = found == golden.probabilities.end() ? 0 : found->second;
      const double difference = std::abs(static_cast<double>((*ours)[token] - wanted));
      worst = std::max(worst, difference);
      ASSERT_LE(difference, 1e-5) << "token " << token << " of " << golden.description;
    }
  }
  RecordProperty("worst", std::to_string(worst));
}

TEST_F(SamplingGoldenTest, TheSameTokensAreLeft) {
  constexpr float kUnderflow = 1e-30F;  // Both sides lose what is below, at places of their own.
  for (const GoldenCase& golden : cases_) {
    const auto ours = sampler_.Probabilities(golden.logits, golden.settings, golden.history());
    ASSERT_TRUE(ours.ok());
    for (size_t token = 0; token < vocabulary_; ++token) {
      const auto found = golden.probabilities.find(token);
      const bool is_left = found != golden.probabilities.end() && found->second > kUnderflow;
      ASSERT_EQ((*ours)[token] > kUnderflow, is_left)
          << "token " << token << " of " << golden.description;
    }
  }
}

TEST_F(SamplingGoldenTest, WhatIsDrawnHasAProbability) {
  for (const GoldenCase& golden : cases_) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto choice =
          sampler_.Sample(golden.logits, golden.settings, golden.history(), {.seed = seed});
      ASSERT_TRUE(choice.ok());
      EXPECT_TRUE(golden.probabilities.contains(static_cast<size_t>(choice->token)))
          << choice->token << " of " << golden.description;
    }
  }
}

TEST_F(SamplingGoldenTest, TheCasesUseEverySetting) {
  std::map<std::string, int> used;
  for (const GoldenCase& golden : cases_) {
    const SamplingSettings& sampling = golden.settings.sampling;
    used["greedy"] += sampling.is_greedy() ? 1 : 0;
    used["temperature"] += sampling.temperature.has_value() && !sampling.is_greedy() ? 1 : 0;
    used["top_k"] += sampling.top_k.has_value() ? 1 : 0;
    used["top_p"] += sampling.top_p.has_value() ? 1 : 0;
    used["min_p"] += sampling.min_p.has_value() ? 1 : 0;
    used["top_k, top_p and min_p"] += sampling.top_k && sampling.top_p && sampling.min_p ? 1 : 0;
    used["repetition"] += sampling.repetition_penalty.has_value() ? 1 : 0;
    used["presence and frequency"] +=
        sampling.presence_penalty && sampling.frequency_penalty ? 1 : 0;
    used["logit_bias"] += sampling.logit_bias.empty() ? 0 : 1;
    used["min_tokens"] += golden.settings.stopping.min_tokens.has_value() ? 1 : 0;
  }
  for (const auto& [setting, count] : used) EXPECT_GE(count, 10) << setting;
}

}  // namespace
}  // namespace graft::worker::engine::generation
