/// A decoder's config.json as ModelConfig writes it: in transformers' words, and read back as it
/// was.

#include "common/families/decoder_config.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/common/families/configs.h"

namespace graft::families {
namespace {

/// A base of three layers.
Json Base(const std::string& type, const Json& more) {
  Json config = TinyLlamaConfig(true);
  config["model_type"] = type;
  config["num_hidden_layers"] = 3;
  config.update(more);
  return config;
}

/// What is written for a base with this config.json, which must be read back as the same.
Json Written(const Json& config) {
  const Layout layout = MustRead(config);
  const Json written = ModelConfig(layout);
  const Layout again = MustRead(written);
  EXPECT_EQ(again.fingerprint_config, layout.fingerprint_config) << config;
  EXPECT_EQ(again.windows, layout.windows) << config;
  EXPECT_EQ(again.rope, layout.rope) << config;
  EXPECT_EQ(again.max_positions, layout.max_positions) << config;
  EXPECT_EQ(again.token_ids, layout.token_ids) << config;
  EXPECT_FALSE(written.contains("windows"));
  EXPECT_FALSE(written.contains("rope_parameters"));
  return written;
}

TEST(DecoderConfigTest, AnEncodersIsItsFingerprints) {
  EXPECT_EQ(ModelConfig(MustRead(TinyBertConfig())), MustRead(TinyBertConfig()).fingerprint_config);
  EXPECT_EQ(ModelConfig(MustRead(TinyDistilBertConfig())),
            MustRead(TinyDistilBertConfig()).fingerprint_config);
}

TEST(DecoderConfigTest, MistralsWindowIsStatedAlsoWhereItIsTheDefaultOrNone) {
  EXPECT_EQ(Written(Base("mistral", Json::object()))["sliding_window"], 4096);
  EXPECT_EQ(Written(Base("mistral", {{"sliding_window", 16}}))["sliding_window"], 16);
  const Json none = Written(Base("mistral", {{"sliding_window", nullptr}}));
  ASSERT_TRUE(none.contains("sliding_window"));
  EXPECT_TRUE(none["sliding_window"].is_null());
  EXPECT_FALSE(none.contains("layer_types"));
}

TEST(DecoderConfigTest, QwensLayersSlideFromOneOnOrAreListed) {
  for (const char* type : {"qwen2", "qwen3"}) {
    const Json some = Written(Base(
        type, {{"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 1}}));
    EXPECT_EQ(some["use_sliding_window"], true);
    EXPECT_EQ(some["sliding_window"], 8);
    EXPECT_EQ(some["max_window_layers"], 1);
    EXPECT_FALSE(some.contains("layer_types"));

    const Json unused = Written(Base(type, {{"sliding_window", 8}, {"max_window_layers", 1}}));
    EXPECT_EQ(unused["use_sliding_window"], false);
    EXPECT_TRUE(unused["sliding_window"].is_null());

    const Json types = {"sliding_attention", "full_attention", "sliding_attention"};
    const Json listed = Written(
        Base(type, {{"use_sliding_window", true}, {"sliding_window", 8}, {"layer_types", types}}));
    EXPECT_EQ(listed["layer_types"], types);
  }
}

TEST(DecoderConfigTest, RopesAreSaidAsBothVersionsReadThem) {
  const Json plain = Written(Base("llama", {{"rope_parameters", {{"rope_theta", 500.0}}}}));
  EXPECT_EQ(plain["rope_theta"], 500.0);
  EXPECT_TRUE(plain["rope_scaling"].is_null());

  const Json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}, {"beta_fast", 16.0}};
  Json five = yarn;
  five["rope_theta"] = 500.0;
  const Json scaled = Written(Base("llama", {{"rope_parameters", five}}));
  EXPECT_EQ(scaled["rope_theta"], 500.0);
  EXPECT_EQ(scaled["rope_scaling"], yarn);

  // Of its older spelling.
  const Json linear =
      Written(Base("qwen3", {{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}));
  EXPECT_EQ(linear["rope_theta"], 10000.0);
  EXPECT_EQ(linear["rope_scaling"], Json({{"rope_type", "linear"}, {"factor", 2}}));
}

TEST(DecoderConfigTest, TokensAreTheBasesOwn) {
  const Json written = Written(Base(
      "llama", {{"eos_token_id", {2, 7}}, {"pad_token_id", nullptr}, {"bos_token_id", "<s>"}}));

  EXPECT_EQ(written["eos_token_id"], Json({2, 7}));
  ASSERT_TRUE(written.contains("pad_token_id"));
  EXPECT_TRUE(written["pad_token_id"].is_null());
  EXPECT_FALSE(written.contains("bos_token_id")) << "no token's id";
}

TEST(DecoderConfigTest, BiasesStandInIt) {
  const Json llama = Written(Base("llama", {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_EQ(llama["attention_bias"], true);
  EXPECT_EQ(llama["mlp_bias"], true);
  EXPECT_EQ(Written(Base("qwen3", {{"attention_bias", true}}))["attention_bias"], true);
}

}  // namespace
}  // namespace graft::families
