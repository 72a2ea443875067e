#include "common/families/bert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/common/families/configs.h"

namespace graft::families {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// "name [3, 48]" of each tensor.
std::vector<std::string> Described(const Layout& layout) {
  std::vector<std::string> lines;
  for (const TensorShape& tensor : layout.tensors) {
    lines.push_back(tensor.name + " " + Json(tensor.shape).dump());
  }
  return lines;
}

TEST(BertLayoutTest, SizesAreTheConfigs) {
  const Layout layout = MustRead(MiniLmConfig());

  EXPECT_EQ(layout.prefix, "bert.");
  EXPECT_EQ(layout.hidden, 384);
  EXPECT_EQ(layout.num_layers, 6);
  EXPECT_EQ(layout.num_heads, 12);
  EXPECT_EQ(layout.head_dim, 32);
  EXPECT_EQ(layout.intermediate, 1536);
  EXPECT_EQ(layout.vocab_size, 30522);
  EXPECT_EQ(layout.max_positions, 512);
  EXPECT_EQ(layout.type_vocab_size, 2);
  EXPECT_EQ(layout.model_class, "Bert");
}

TEST(BertLayoutTest, AbsentOptionsAreTransformersDefaults) {
  Json config = TinyBertConfig();
  for (const char* name : {"type_vocab_size", "layer_norm_eps", "hidden_act"}) config.erase(name);

  const Layout layout = MustRead(config);

  EXPECT_EQ(layout.type_vocab_size, 2);
  EXPECT_EQ(layout.norm_eps, 1e-12);
  EXPECT_EQ(layout.activation, "gelu");
}

TEST(BertLayoutTest, OptionsThatAreSetAreTaken) {
  const Layout layout =
      MustRead(With(With(With(TinyBertConfig(), "type_vocab_size", 7), "layer_norm_eps", 1e-5),
                    "hidden_act", "gelu_new"));

  EXPECT_EQ(layout.type_vocab_size, 7);
  EXPECT_EQ(layout.norm_eps, 1e-5);
  EXPECT_EQ(layout.activation, "gelu_new");
}

// The list is that of transformers 5.23.0's BertForSequenceClassification.state_dict() at these
// sizes, without the classifier; one layer of the two.
TEST(BertLayoutTest, TensorsAreTransformersStateDict) {
  const Layout layout = MustRead(With(TinyBertConfig(), "num_hidden_layers", 1));

  EXPECT_THAT(
      Described(layout),
      ElementsAre("bert.embeddings.word_embeddings.weight [97,48]",
                  "bert.embeddings.position_embeddings.weight [40,48]",
                  "bert.embeddings.token_type_embeddings.weight [2,48]",
                  "bert.embeddings.LayerNorm.weight [48]", "bert.embeddings.LayerNorm.bias [48]",
                  "bert.encoder.layer.0.attention.self.query.weight [48,48]",
                  "bert.encoder.layer.0.attention.self.query.bias [48]",
                  "bert.encoder.layer.0.attention.self.key.weight [48,48]",
                  "bert.encoder.layer.0.attention.self.key.bias [48]",
                  "bert.encoder.layer.0.attention.self.value.weight [48,48]",
                  "bert.encoder.layer.0.attention.self.value.bias [48]",
                  "bert.encoder.layer.0.attention.output.dense.weight [48,48]",
                  "bert.encoder.layer.0.attention.output.dense.bias [48]",
                  "bert.encoder.layer.0.attention.output.LayerNorm.weight [48]",
                  "bert.encoder.layer.0.attention.output.LayerNorm.bias [48]",
                  "bert.encoder.layer.0.intermediate.dense.weight [80,48]",
                  "bert.encoder.layer.0.intermediate.dense.bias [80]",
                  "bert.encoder.layer.0.output.dense.weight [48,80]",
                  "bert.encoder.layer.0.output.dense.bias [48]",
                  "bert.encoder.layer.0.output.LayerNorm.weight [48]",
                  "bert.encoder.layer.0.output.LayerNorm.bias [48]",
                  "bert.pooler.dense.weight [48,48]", "bert.pooler.dense.bias [48]"));
}

// sum(p.numel()) of transformers 5.23.0's BertModel: 43,936 at the tiny sizes, 22,713,216 at
// MiniLM's, 109,482,240 with BertConfig()'s defaults.
TEST(BertLayoutTest, ParameterCountsAreTransformers) {
  EXPECT_EQ(MustRead(TinyBertConfig()).ParameterCount(), 43'936);
  EXPECT_EQ(MustRead(MiniLmConfig()).ParameterCount(), 22'713'216);
  EXPECT_EQ(MustRead(BertBaseConfig()).ParameterCount(), 109'482'240);
}

TEST(BertLayoutTest, EachTensorKnowsItsLayerAndRole) {
  for (const TensorShape& tensor : MustRead(TinyBertConfig()).tensors) {
    int layer = kBelowLayers;
    if (tensor.name.starts_with("bert.encoder.layer.0.")) layer = 0;
    if (tensor.name.starts_with("bert.encoder.layer.1.")) layer = 1;
    if (tensor.name.starts_with("bert.pooler.")) layer = kAboveLayers;
    const TensorRole role = tensor.name.find("LayerNorm") != std::string::npos ? TensorRole::kNorm
                            : tensor.name.ends_with(".bias")                   ? TensorRole::kBias
                                                             : TensorRole::kMatrix;

    EXPECT_EQ(tensor.layer, layer) << tensor.name;
    EXPECT_EQ(tensor.role, role) << tensor.name;
  }
}

TEST(BertLayoutTest, PartsOfALayerAreFoundByWhatTheyAre) {
  const Layout layout = MustRead(TinyBertConfig());
  const auto path = [&](LinearRole role) { return layout.linears[layout.LinearAt(1, role)].path; };

  EXPECT_EQ(path(LinearRole::kQuery), "bert.encoder.layer.1.attention.self.query");
  EXPECT_EQ(path(LinearRole::kKey), "bert.encoder.layer.1.attention.self.key");
  EXPECT_EQ(path(LinearRole::kValue), "bert.encoder.layer.1.attention.self.value");
  EXPECT_EQ(path(LinearRole::kAttentionOutput), "bert.encoder.layer.1.attention.output.dense");
  EXPECT_EQ(path(LinearRole::kUp), "bert.encoder.layer.1.intermediate.dense");
  EXPECT_EQ(path(LinearRole::kDown), "bert.encoder.layer.1.output.dense");
  EXPECT_EQ(layout.sublayers[layout.SublayerAt(1, SublayerKind::kAttention)].norm,
            "bert.encoder.layer.1.attention.output.LayerNorm");
  EXPECT_EQ(layout.sublayers[layout.SublayerAt(1, SublayerKind::kFeedForward)].norm,
            "bert.encoder.layer.1.output.LayerNorm");
}

TEST(BertLayoutTest, LinearsAreTheSixOfEachLayerWithTheirWidths) {
  const Layout layout = MustRead(TinyBertConfig());

  ASSERT_EQ(layout.linears.size(), 12u);
  EXPECT_THAT(layout.LinearNames(),
              ElementsAre("attention.output.dense", "attention.self.key", "attention.self.query",
                          "attention.self.value", "intermediate.dense", "output.dense"));
  const Linear& up = layout.linears[10];
  EXPECT_EQ(up.path, "bert.encoder.layer.1.intermediate.dense");
  EXPECT_EQ(std::pair(up.in, up.out), std::pair(int64_t{48}, int64_t{80}));
  EXPECT_EQ(up.layer, 1);
  const Linear& down = layout.linears[11];
  EXPECT_EQ(down.path, "bert.encoder.layer.1.output.dense");
  EXPECT_EQ(std::pair(down.in, down.out), std::pair(int64_t{80}, int64_t{48}));
}

TEST(BertLayoutTest, SublayersStandInForwardOrderUnderAdapterHubsPaths) {
  const Layout layout = MustRead(TinyBertConfig());

  ASSERT_EQ(layout.sublayers.size(), 4u);
  EXPECT_EQ(layout.sublayers[2].kind, SublayerKind::kAttention);
  EXPECT_EQ(layout.sublayers[2].layer, 1);
  EXPECT_EQ(layout.sublayers[2].hub_path, "bert.encoder.layer.1.attention.output.adapters");
  EXPECT_EQ(layout.sublayers[3].kind, SublayerKind::kFeedForward);
  EXPECT_EQ(layout.sublayers[3].hub_path, "bert.encoder.layer.1.output.adapters");
}

TEST(BertLayoutTest, APoolerOfTheCheckpointBelongsToTheBaseUnderEitherName) {
  for (const std::string& name :
       {std::string("bert.pooler.dense.weight"), std::string("pooler.dense.weight")}) {
    const Layout layout = MustRead(TinyBertConfig(), {name});

    ASSERT_EQ(layout.head.size(), 2u) << name;
    EXPECT_EQ(layout.head[0].path, "bert.pooler.dense") << name;
    EXPECT_EQ(layout.head[0].activation, "tanh") << name;
    EXPECT_TRUE(layout.head[0].in_base) << name;
    EXPECT_EQ(layout.tensors.back().name, "bert.pooler.dense.bias") << name;
  }
}

TEST(BertLayoutTest, WithoutAPoolerInTheCheckpointItIsNew) {
  const Layout layout = MustRead(TinyBertConfig(), {"bert.embeddings.LayerNorm.weight"});

  EXPECT_FALSE(layout.head[0].in_base);
  EXPECT_EQ(layout.tensors.back().name, "bert.encoder.layer.1.output.LayerNorm.bias");
  EXPECT_EQ(layout.ParameterCount(), 43'936 - 48 * 48 - 48);
}

TEST(BertLayoutTest, TheClassifierIsNewAndAsWideAsThereAreLabels) {
  const HeadLinear classifier = MustRead(TinyBertConfig()).head.back();

  EXPECT_EQ(classifier.path, "classifier");
  EXPECT_EQ(classifier.in, 48);
  EXPECT_EQ(classifier.out, 0);
  EXPECT_EQ(classifier.activation, "");
  EXPECT_FALSE(classifier.in_base);
}

TEST(BertLayoutTest, LorasDefaultTargetsArePefts) {
  EXPECT_THAT(MustRead(TinyBertConfig()).default_lora_targets, ElementsAre("query", "value"));
}

TEST(BertLayoutTest, EveryFieldThatTheForwardUsesChangesTheFingerprint) {
  const Json before = MustRead(TinyBertConfig()).fingerprint_config;
  for (const auto& [field, value] : {std::pair<const char*, Json>{"hidden_size", 96},
                                     {"num_hidden_layers", 1},
                                     {"num_attention_heads", 2},
                                     {"intermediate_size", 64},
                                     {"vocab_size", 98},
                                     {"max_position_embeddings", 41},
                                     {"type_vocab_size", 3},
                                     {"layer_norm_eps", 1e-5},
                                     {"hidden_act", "relu"}}) {
    EXPECT_NE(MustRead(With(TinyBertConfig(), field, value)).fingerprint_config, before) << field;
  }
}

TEST(BertLayoutTest, ADefaultThatIsWrittenOutKeepsTheFingerprint) {
  Json config = TinyBertConfig();
  for (const char* name : {"type_vocab_size", "layer_norm_eps", "hidden_act"}) config.erase(name);

  EXPECT_EQ(MustRead(config).fingerprint_config, MustRead(TinyBertConfig()).fingerprint_config);
}

TEST(BertLayoutTest, EachRequiredSizeIsMissed) {
  for (const char* field : {"hidden_size", "num_hidden_layers", "num_attention_heads",
                            "intermediate_size", "vocab_size", "max_position_embeddings"}) {
    const Status expected =
        InvalidArgumentError("config.json: " + std::string(field) + " is missing");

    EXPECT_EQ(Refusal(Without(TinyBertConfig(), field)), expected);
    EXPECT_EQ(Refusal(With(TinyBertConfig(), field, nullptr)), expected);
  }
}

TEST(BertLayoutTest, EachSizeIsRefusedWhenAbsurdOrOfAnotherType) {
  for (const auto& [field, too_many] :
       {std::pair<const char*, int64_t>{"hidden_size", (1 << 16) + 1},
        {"num_hidden_layers", 1025},
        {"num_attention_heads", 1025},
        {"intermediate_size", (1 << 18) + 1},
        {"vocab_size", (1 << 24) + 1},
        {"max_position_embeddings", (1 << 20) + 1},
        {"type_vocab_size", 1025}}) {
    for (const Json& value : {Json(0), Json(-4), Json(too_many), Json(UINT64_MAX), Json(4.5),
                              Json("4"), Json(true), Json::array({4})}) {
      const Status status = Refusal(With(TinyBertConfig(), field, value));

      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
      EXPECT_THAT(status.message(), HasSubstr(field)) << value;
    }
  }
}

TEST(BertLayoutTest, OptionsOfAnotherTypeAreRefused) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"layer_norm_eps", "tiny"},
                                     {"layer_norm_eps", -1e-12},
                                     {"layer_norm_eps", 1.5},
                                     {"hidden_act", 3},
                                     {"hidden_act", Json::object()},
                                     {"position_embedding_type", 3},
                                     {"is_decoder", "no"},
                                     {"add_cross_attention", 0}}) {
    const Status status = Refusal(With(TinyBertConfig(), field, value));

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_THAT(status.message(), HasSubstr(field)) << value;
  }
}

TEST(BertLayoutTest, HeadsMustDivideTheWidth) {
  const Status status = Refusal(With(TinyBertConfig(), "num_attention_heads", 5));

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("hidden_size isn't a multiple of num_attention_heads"));
}

TEST(BertLayoutTest, WhatIsNotBuiltIsSaid) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"hidden_act", "tanh"},
                                     {"position_embedding_type", "relative_key"},
                                     {"position_embedding_type", std::string(100'000, 'x')},
                                     {"position_embedding_type", nullptr},
                                     {"quantization_config", {{"load_in_8bit", true}}},
                                     {"pruned_heads", {{"0", {1}}}},
                                     {"is_decoder", true},
                                     {"add_cross_attention", true}}) {
    const Status status = Refusal(With(TinyBertConfig(), field, value));

    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << field;
    EXPECT_THAT(status.message(), HasSubstr("isn't built")) << field;
    EXPECT_LT(status.message().size(), 400u) << field;
  }
}

}  // namespace
}  // namespace graft::families
