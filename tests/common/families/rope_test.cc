/// A rope's numbers: which are refused, and that those which aren't overflow nowhere.

#include "common/families/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/families/configs.h"

namespace graft::families {
namespace {

using ::testing::HasSubstr;

Json Config() { return With(TinyLlamaConfig(true), "max_position_embeddings", 128); }

TEST(RopeTest, NumbersOfARopeThatOverflowAreRefusedByName) {
  const Json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8},
                       {"low_freq_factor", 1},
                       {"high_freq_factor", 4},
                       {"original_max_position_embeddings", 8192}};
  const Json yarn = {{"rope_type", "yarn"}, {"factor", 4}};
  const auto with = [](Json rope, const char* field, Json value) {
    rope[field] = std::move(value);
    return rope;
  };
  const std::vector<std::pair<Json, std::string>> ropes = {
      {with(yarn, "factor", 1e9), "factor must be a number from 0.001 to 1000000"},
      {with(yarn, "factor", 1e6), "factor makes a context of more than 16777216 tokens of the 128"},
      {with(with(yarn, "factor", 2), "original_max_position_embeddings", 1e12),
       "original_max_position_embeddings must be a number from 1 to 16777216"},
      {with(yarn, "original_max_position_embeddings", 12.5),
       "original_max_position_embeddings must be a whole number"},
      {with(yarn, "beta_fast", 1e300), "beta_fast must be a number from"},
      {with(yarn, "beta_slow", 1e-300), "beta_slow must be a number from"},
      {with(yarn, "mscale", -1), "mscale must be a number from"},
      {with(yarn, "mscale_all_dim", 0), "mscale_all_dim must be a number from"},
      {with(yarn, "attention_factor", 1e9), "attention_factor must be a number from"},
      {with(yarn, "rope_theta", 1e-300), "rope_theta must be a number from 1 to 1e12"},
      {{{"rope_type", "linear"}, {"factor", 1e-300}}, "factor must be a number from"},
      {with(llama3, "factor", 1e-300), "factor must be a number from"},
      {with(llama3, "low_freq_factor", 1e300), "low_freq_factor must be a number from"},
      {with(llama3, "high_freq_factor", 1), "high_freq_factor must be more than low_freq_factor"},
      {with(llama3, "original_max_position_embeddings", 0),
       "original_max_position_embeddings must be a number from 1 to 16777216"},
  };
  for (const char* section : {"rope_scaling", "rope_parameters"}) {
    for (const auto& [rope, message] : ropes) {
      Json config = Config();
      config[section] = rope;

      EXPECT_THAT(Refusal(config).message(),
                  HasSubstr("config.json: " + std::string(section) + "." + message))
          << rope;
    }
  }
}

TEST(RopeTest, RopesAtTheEdgesOfTheirRangesAreFinite) {
  const auto is_finite = [](const Layout& layout) {
    const auto& all = layout.rope.inverse_frequencies;
    return std::isfinite(layout.rope.scale) &&
           std::all_of(all.begin(), all.end(), [](float one) { return std::isfinite(one); });
  };
  for (const double theta : {1.0000001, 1e12}) {
    for (const double small : {0.001, 1e6}) {
      for (const double large : {0.001, 1e6}) {
        Json config = Config();
        config["rope_theta"] = theta;
        config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 0.001},
                                  {"beta_fast", small},  {"beta_slow", large},
                                  {"mscale", small},     {"mscale_all_dim", large},
                                  {"truncate", false},   {"original_max_position_embeddings", 1}};
        EXPECT_TRUE(is_finite(MustRead(config))) << config;
        config["rope_scaling"] = {{"rope_type", "llama3"},
                                  {"factor", small},
                                  {"low_freq_factor", 0.001},
                                  {"high_freq_factor", 1e6},
                                  {"original_max_position_embeddings", 1 << 24}};
        EXPECT_TRUE(is_finite(MustRead(config))) << config;
        config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", large}};
        EXPECT_TRUE(is_finite(MustRead(config))) << config;
      }
    }
  }
}

TEST(RopeTest, AThetaOutsideASectionIsRefusedByItsName) {
  Json config = Config();
  config["rope_theta"] = 1e300;
  EXPECT_THAT(Refusal(config).message(),
              HasSubstr("config.json: rope_theta must be a number from 1 to 1e12"));
  config["rope_theta"] = 1;
  EXPECT_TRUE(Refusal(config).ok());
  config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 2}};
  EXPECT_THAT(Refusal(config).message(), HasSubstr("rope_theta must be more than 1"));
}

}  // namespace
}  // namespace graft::families
