/// What a base says of generating text, and what of a request it leaves without effect.

#include "worker/engine/model/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "tests/support/must.h"

namespace graft::worker::engine {
namespace {

using graft::testing::Must;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

GenerationConfig Config(const std::string& json) {
  const TempFolder folder = Must(TempFolder::Create());
  Must(WriteFileDurably(folder.path() / "config.json", "{}"));
  if (!json.empty()) Must(WriteFileDurably(folder.path() / "generation_config.json", json));
  return Must(ReadGenerationConfig(folder.path(), 100));
}

generation::GenerationSettings Sampled() {
  generation::GenerationSettings settings;
  settings.n = 2;
  settings.seed = 0;
  settings.sampling.top_k = 5;
  settings.sampling.top_p = 0.9;
  settings.sampling.min_p = 0.1;
  settings.sampling.frequency_penalty = 1;
  return settings;
}

TEST(GenerationConfigTest, WhereABaseIsGreedySamplingSettingsAloneHaveNoEffect) {
  for (const char* json : {"", "{}", R"({"do_sample": false, "temperature": 0.7})",
                           R"({"do_sample": true, "temperature": 0})"}) {
    EXPECT_THAT(SettingsWithoutEffect(Config(json), Sampled()),
                ElementsAre("generation.n", "generation.seed", "generation.top_k",
                            "generation.top_p", "generation.min_p"))
        << json;
  }
}

TEST(GenerationConfigTest, WithATemperatureOfAnybodysTheyHave) {
  EXPECT_THAT(SettingsWithoutEffect(Config(R"({"do_sample": true})"), Sampled()), IsEmpty());
  EXPECT_THAT(
      SettingsWithoutEffect(Config(R"({"do_sample": true, "temperature": 0.7})"), Sampled()),
      IsEmpty());
  generation::GenerationSettings settings = Sampled();
  settings.sampling.temperature = 1;
  EXPECT_THAT(SettingsWithoutEffect(Config(""), settings), IsEmpty());
  // Who asks for 0 knows it.
  settings.sampling.temperature = 0;
  EXPECT_THAT(SettingsWithoutEffect(Config(""), settings), IsEmpty());
}

TEST(GenerationConfigTest, WhatAsksForNothingIsNotTold) {
  generation::GenerationSettings settings;
  settings.n = 1;
  settings.sampling.top_k = 0;
  settings.sampling.top_p = 1;
  settings.sampling.min_p = 0;

  EXPECT_THAT(SettingsWithoutEffect(Config(""), settings), IsEmpty());
}

}  // namespace
}  // namespace graft::worker::engine
