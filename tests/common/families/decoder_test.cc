/// What config.json says of the decoders: sizes, heads, windows and ropes; and what of it is
/// refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "common/families/layout.h"

namespace graft::families {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kWithHead = {"lm_head.weight"};

Json Config(const std::string& type) {
  return {{"model_type", type},       {"hidden_size", 48},
          {"num_hidden_layers", 3},   {"num_attention_heads", 6},
          {"num_key_value_heads", 2}, {"intermediate_size", 64},
          {"vocab_size", 80},         {"max_position_embeddings", 128}};
}

StatusOr<Layout> Read(const Json& config, const std::vector<std::string>& tensors = kWithHead) {
  return ReadLayout(config.dump(), tensors);
}

Layout MustRead(const Json& config, const std::vector<std::string>& tensors = kWithHead) {
  StatusOr<Layout> layout = Read(config, tensors);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return layout.ok() ? std::move(*layout) : Layout();
}

const TensorShape* Find(const Layout& layout, const std::string& name) {
  for (const TensorShape& tensor : layout.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

TEST(DecoderLayoutTest, AFamilyIsWhatItsConfigSays) {
  const Layout layout = MustRead(Config("llama"));

  EXPECT_EQ(layout.family, "llama");
  EXPECT_EQ(layout.model_class, "Llama");
  EXPECT_TRUE(layout.causal);
  EXPECT_TRUE(layout.gated());
  EXPECT_EQ(layout.num_kv_heads, 2);
  EXPECT_EQ(layout.head_dim, 8);
  EXPECT_EQ(layout.linears.size(), 3U * 7);
  ASSERT_NE(Find(layout, "model.layers.2.self_attn.k_proj.weight"), nullptr);
  EXPECT_THAT(Find(layout, "model.layers.2.self_attn.k_proj.weight")->shape, ElementsAre(16, 48));
  EXPECT_EQ(Find(layout, "model.layers.2.self_attn.k_proj.bias"), nullptr);
  EXPECT_EQ(Find(layout, "model.norm.weight")->layer, 2) << "computed and trained with it";
  EXPECT_EQ(layout.head.size(), 1U);
  EXPECT_EQ(layout.head.front().path, "score");
  EXPECT_FALSE(layout.head.front().bias);
}

TEST(DecoderLayoutTest, TheLanguageHeadIsAMatrixOrTheEmbeddings) {
  Json tied = Config("llama");
  tied["tie_word_embeddings"] = true;

  EXPECT_EQ(MustRead(Config("llama")).language_head.front().path, "lm_head");
  EXPECT_EQ(MustRead(tied, {}).language_head.front().path, "model.embed_tokens");
  EXPECT_EQ(Find(MustRead(tied), "lm_head.weight"), nullptr) << "a copy of the embeddings";
  EXPECT_TRUE(MustRead(Config("llama"), {}).language_head.empty()) << "a classifier's base";
}

TEST(DecoderLayoutTest, BiasesAndNormsOfHeadsAreTheFamilys) {
  Json llama = Config("llama");
  llama["attention_bias"] = true;
  llama["mlp_bias"] = true;
  const auto has = [](const Layout& layout, const std::string& end) {
    return Find(layout, "model.layers.0." + end) != nullptr;
  };

  EXPECT_TRUE(has(MustRead(llama), "self_attn.o_proj.bias"));
  EXPECT_TRUE(has(MustRead(llama), "mlp.gate_proj.bias"));
  EXPECT_TRUE(has(MustRead(Config("qwen2")), "self_attn.v_proj.bias"));
  EXPECT_FALSE(has(MustRead(Config("qwen2")), "self_attn.o_proj.bias"));
  EXPECT_TRUE(has(MustRead(Config("qwen3")), "self_attn.q_norm.weight"));
  EXPECT_FALSE(has(MustRead(Config("mistral")), "self_attn.q_proj.bias"));
}

TEST(DecoderLayoutTest, WhatIsAbsentIsTransformersDefault) {
  Json mistral = Config("mistral");
  mistral.erase("num_key_value_heads");
  mistral["num_attention_heads"] = 16;
  mistral["head_dim"] = 4;
  Json llama = Config("llama");
  llama.erase("num_key_value_heads");
  Json none = mistral;
  none["num_key_value_heads"] = nullptr;

  EXPECT_EQ(MustRead(mistral).num_kv_heads, 8);
  EXPECT_EQ(MustRead(none).num_kv_heads, 16);
  EXPECT_EQ(MustRead(llama).num_kv_heads, 6);
  EXPECT_EQ(MustRead(Config("qwen3")).head_dim, 128);
  EXPECT_THAT(MustRead(mistral).windows, ElementsAre(4096, 4096, 4096));
}

TEST(DecoderLayoutTest, WindowsAreThoseOfEachLayer) {
  Json mistral = Config("mistral");
  mistral["sliding_window"] = nullptr;
  Json qwen = Config("qwen2");
  qwen["sliding_window"] = 12;
  qwen["max_window_layers"] = 1;
  Json used = qwen;
  used["use_sliding_window"] = true;
  Json listed = used;
  listed["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};

  EXPECT_THAT(MustRead(mistral).windows, ElementsAre(0, 0, 0));
  EXPECT_THAT(MustRead(qwen).windows, ElementsAre(0, 0, 0));
  EXPECT_THAT(MustRead(used).windows, ElementsAre(0, 12, 12));
  EXPECT_THAT(MustRead(listed).windows, ElementsAre(12, 0, 12));
}

TEST(DecoderLayoutTest, RopesOfBothFormsAreRead) {
  Json four = Config("llama");
  four["rope_theta"] = 500.0;
  four["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
  Json five = Config("llama");
  five["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 500.0}};
  Json plain = Config("llama");
  plain["rope_theta"] = 500.0;

  const Layout scaled = MustRead(four);

  EXPECT_EQ(scaled.rope.inverse_frequencies, MustRead(five).rope.inverse_frequencies);
  EXPECT_EQ(scaled.fingerprint_config, MustRead(five).fingerprint_config);
  EXPECT_EQ(scaled.rope.inverse_frequencies.size(), 4U);
  EXPECT_FLOAT_EQ(scaled.rope.inverse_frequencies[0], 0.25F);
  EXPECT_EQ(MustRead(plain).rope.inverse_frequencies[0], 1.0F);
  EXPECT_NE(scaled.fingerprint_config, MustRead(plain).fingerprint_config);
}

TEST(DecoderLayoutTest, YarnStretchesTheContextThatTheBaseWasTrainedOn) {
  Json config = Config("qwen2");
  config["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 128}};

  const Layout layout = MustRead(config);

  EXPECT_EQ(layout.max_positions, 512);
  EXPECT_NEAR(layout.rope.scale, 1.138629, 1e-6);
}

struct Refusal {
  const char* what;
  std::function<void(Json& config)> change;
  const char* message;
};

TEST(DecoderLayoutTest, WhatIsntBuiltIsRefusedByName) {
  const std::vector<Refusal> refusals = {
      {"an unknown rope",
       [](Json& c) {
         c["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2}};
       },
       "rope type dynamic isn't built; default, linear, llama3 and yarn are"},
      {"longrope",
       [](Json& c) {
         c["rope_scaling"] = {{"rope_type", "longrope"}};
       },
       "longrope"},
      {"a rope that is no object", [](Json& c) { c["rope_scaling"] = "linear"; }, "rope_scaling"},
      {"no factor",
       [](Json& c) {
         c["rope_scaling"] = {{"type", "linear"}};
       },
       "factor is missing"},
      {"a factor of no size",
       [](Json& c) {
         c["rope_scaling"] = {{"type", "linear"}, {"factor", 0}};
       },
       "rope_scaling.factor must be a number from 0.001 to 1000000"},
      {"an unknown field of a rope",
       [](Json& c) {
         c["rope_scaling"] = {{"type", "linear"}, {"factor", 2}, {"warp", 1}};
       },
       "rope_scaling.warp isn't known"},
      {"a theta that is text", [](Json& c) { c["rope_theta"] = "1e6"; }, "rope_theta"},
      {"a part of each head",
       [](Json& c) {
         c["rope_parameters"] = {{"partial_rotary_factor", 0.5}};
       },
       "partial_rotary_factor"},
      {"code of its own",
       [](Json& c) {
         c["auto_map"] = {{"AutoModel", "m.M"}};
       },
       "auto_map"},
      {"quantised",
       [](Json& c) {
         c["quantization_config"] = {{"bits", 4}};
       },
       "quantization_config"},
      {"an odd head", [](Json& c) { c["head_dim"] = 7; }, "head_dim is odd"},
      {"heads that don't share evenly", [](Json& c) { c["num_key_value_heads"] = 4; },
       "isn't a multiple of num_key_value_heads"},
      {"another activation", [](Json& c) { c["hidden_act"] = "relu2"; }, "relu2"},
      {"no size", [](Json& c) { c.erase("intermediate_size"); }, "intermediate_size is missing"},
      {"pairs side by side", [](Json& c) { c["rope_interleaved"] = true; }, "rope_interleaved"},
  };
  for (const Refusal& refusal : refusals) {
    Json config = Config("llama");
    refusal.change(config);

    const StatusOr<Layout> layout = Read(config);

    ASSERT_FALSE(layout.ok()) << refusal.what;
    EXPECT_THAT(layout.status().message(), HasSubstr(refusal.message)) << refusal.what;
    EXPECT_THAT(layout.status().message(), HasSubstr("config.json")) << refusal.what;
  }
}

TEST(DecoderLayoutTest, AWidthOfHeadsThatFollowsFromOthersIsInItsRange) {
  Json narrow = Config("llama");
  narrow["hidden_size"] = 4;
  Json wide = Config("llama");
  wide["hidden_size"] = 65536;

  EXPECT_THAT(Read(narrow).status().message(),
              HasSubstr("hidden_size / num_attention_heads is 0, and head_dim must be from 2"));
  EXPECT_THAT(Read(wide).status().message(),
              HasSubstr("hidden_size / num_attention_heads is 10922"));
}

TEST(DecoderLayoutTest, LayerTypesThatArentBuiltAreRefused) {
  Json few = Config("qwen3");
  few["layer_types"] = {"full_attention"};
  Json unknown = Config("qwen3");
  unknown["layer_types"] = {"full_attention", "linear_attention", "full_attention"};

  EXPECT_THAT(Read(few).status().message(), HasSubstr("each of the 3 layers"));
  EXPECT_THAT(Read(unknown).status().message(), HasSubstr("linear_attention"));
}

}  // namespace
}  // namespace graft::families
