#include "common/families/distilbert.h"

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

TEST(DistilBertLayoutTest, SizesAreTheConfigsOwnNames) {
  const Layout layout = MustRead(TinyDistilBertConfig());

  EXPECT_EQ(layout.prefix, "distilbert.");
  EXPECT_EQ(layout.hidden, 48);
  EXPECT_EQ(layout.num_layers, 2);
  EXPECT_EQ(layout.num_heads, 4);
  EXPECT_EQ(layout.head_dim, 12);
  EXPECT_EQ(layout.intermediate, 80);
  EXPECT_EQ(layout.vocab_size, 97);
  EXPECT_EQ(layout.max_positions, 40);
  EXPECT_EQ(layout.type_vocab_size, 0);
  EXPECT_EQ(layout.norm_eps, 1e-12);
  EXPECT_EQ(layout.model_class, "DistilBert");
}

TEST(DistilBertLayoutTest, AbsentOptionsAreTransformersDefaults) {
  const Layout layout = MustRead(DistilBertBaseConfig());

  EXPECT_EQ(layout.max_positions, 512);
  EXPECT_EQ(layout.activation, "gelu");
}

TEST(DistilBertLayoutTest, EachTensorKnowsItsRole) {
  for (const TensorShape& tensor : MustRead(TinyDistilBertConfig()).tensors) {
    const bool norm = tensor.name.find("LayerNorm") != std::string::npos ||
                      tensor.name.find("layer_norm") != std::string::npos;
    const TensorRole role = norm                             ? TensorRole::kNorm
                            : tensor.name.ends_with(".bias") ? TensorRole::kBias
                                                             : TensorRole::kMatrix;
    EXPECT_EQ(tensor.role, role) << tensor.name;
    EXPECT_EQ(tensor.layer == kBelowLayers, tensor.name.starts_with("distilbert.embeddings."))
        << tensor.name;
  }
}

TEST(DistilBertLayoutTest, PartsOfALayerAreFoundByWhatTheyAre) {
  const Layout layout = MustRead(TinyDistilBertConfig());
  const auto path = [&](LinearRole role) { return layout.linears[layout.LinearAt(0, role)].path; };

  EXPECT_EQ(path(LinearRole::kQuery), "distilbert.transformer.layer.0.attention.q_lin");
  EXPECT_EQ(path(LinearRole::kKey), "distilbert.transformer.layer.0.attention.k_lin");
  EXPECT_EQ(path(LinearRole::kValue), "distilbert.transformer.layer.0.attention.v_lin");
  EXPECT_EQ(path(LinearRole::kAttentionOutput), "distilbert.transformer.layer.0.attention.out_lin");
  EXPECT_EQ(path(LinearRole::kUp), "distilbert.transformer.layer.0.ffn.lin1");
  EXPECT_EQ(path(LinearRole::kDown), "distilbert.transformer.layer.0.ffn.lin2");
  EXPECT_EQ(layout.sublayers[layout.SublayerAt(0, SublayerKind::kAttention)].norm,
            "distilbert.transformer.layer.0.sa_layer_norm");
}

// The list is that of transformers 5.23.0's DistilBertForSequenceClassification.state_dict() at
// these sizes, without pre_classifier and classifier; one layer of the two.
TEST(DistilBertLayoutTest, TensorsAreTransformersStateDict) {
  const Layout layout = MustRead(With(TinyDistilBertConfig(), "n_layers", 1));

  std::vector<std::string> lines;
  for (const TensorShape& tensor : layout.tensors) {
    lines.push_back(tensor.name + " " + Json(tensor.shape).dump());
  }

  EXPECT_THAT(lines, ElementsAre("distilbert.embeddings.word_embeddings.weight [97,48]",
                                 "distilbert.embeddings.position_embeddings.weight [40,48]",
                                 "distilbert.embeddings.LayerNorm.weight [48]",
                                 "distilbert.embeddings.LayerNorm.bias [48]",
                                 "distilbert.transformer.layer.0.attention.q_lin.weight [48,48]",
                                 "distilbert.transformer.layer.0.attention.q_lin.bias [48]",
                                 "distilbert.transformer.layer.0.attention.k_lin.weight [48,48]",
                                 "distilbert.transformer.layer.0.attention.k_lin.bias [48]",
                                 "distilbert.transformer.layer.0.attention.v_lin.weight [48,48]",
                                 "distilbert.transformer.layer.0.attention.v_lin.bias [48]",
                                 "distilbert.transformer.layer.0.attention.out_lin.weight [48,48]",
                                 "distilbert.transformer.layer.0.attention.out_lin.bias [48]",
                                 "distilbert.transformer.layer.0.sa_layer_norm.weight [48]",
                                 "distilbert.transformer.layer.0.sa_layer_norm.bias [48]",
                                 "distilbert.transformer.layer.0.ffn.lin1.weight [80,48]",
                                 "distilbert.transformer.layer.0.ffn.lin1.bias [80]",
                                 "distilbert.transformer.layer.0.ffn.lin2.weight [48,80]",
                                 "distilbert.transformer.layer.0.ffn.lin2.bias [48]",
                                 "distilbert.transformer.layer.0.output_layer_norm.weight [48]",
                                 "distilbert.transformer.layer.0.output_layer_norm.bias [48]"));
}

// sum(p.numel()) of transformers 5.23.0's DistilBertModel: 41,488 at the tiny sizes, 66,362,880
// with DistilBertConfig()'s defaults.
TEST(DistilBertLayoutTest, ParameterCountsAreTransformers) {
  EXPECT_EQ(MustRead(TinyDistilBertConfig()).ParameterCount(), 41'488);
  EXPECT_EQ(MustRead(DistilBertBaseConfig()).ParameterCount(), 66'362'880);
}

TEST(DistilBertLayoutTest, LinearsAreTheSixOfEachLayer) {
  const Layout layout = MustRead(TinyDistilBertConfig());

  EXPECT_EQ(layout.linears.size(), 12u);
  EXPECT_THAT(layout.LinearNames(),
              ElementsAre("attention.k_lin", "attention.out_lin", "attention.q_lin",
                          "attention.v_lin", "ffn.lin1", "ffn.lin2"));
  EXPECT_THAT(layout.default_lora_targets, ElementsAre("q_lin", "v_lin"));
}

TEST(DistilBertLayoutTest, SublayersStandUnderAdapterHubsPaths) {
  const Layout layout = MustRead(TinyDistilBertConfig());

  ASSERT_EQ(layout.sublayers.size(), 4u);
  EXPECT_EQ(layout.sublayers[2].hub_path,
            "distilbert.transformer.layer.1.attention_adapters.adapters");
  EXPECT_EQ(layout.sublayers[2].kind, SublayerKind::kAttention);
  EXPECT_EQ(layout.sublayers[3].hub_path,
            "distilbert.transformer.layer.1.output_adapters.adapters");
  EXPECT_EQ(layout.sublayers[3].kind, SublayerKind::kFeedForward);
}

TEST(DistilBertLayoutTest, BothLayersOfTheHeadAreNewWhateverTheCheckpointHolds) {
  const Layout layout = MustRead(TinyDistilBertConfig(), {"pre_classifier.weight"});

  ASSERT_EQ(layout.head.size(), 2u);
  EXPECT_EQ(layout.head[0].path, "pre_classifier");
  EXPECT_EQ(layout.head[0].activation, "relu");
  EXPECT_EQ(layout.head[0].out, 48);
  EXPECT_FALSE(layout.head[0].in_base);
  EXPECT_EQ(layout.head[1].path, "classifier");
  EXPECT_EQ(layout.head[1].out, 0);
  EXPECT_FALSE(layout.head[1].in_base);
}

TEST(DistilBertLayoutTest, EveryFieldThatTheForwardUsesChangesTheFingerprint) {
  const Json before = MustRead(TinyDistilBertConfig()).fingerprint_config;
  for (const auto& [field, value] : {std::pair<const char*, Json>{"dim", 96},
                                     {"n_layers", 1},
                                     {"n_heads", 2},
                                     {"hidden_dim", 64},
                                     {"vocab_size", 98},
                                     {"max_position_embeddings", 41},
                                     {"activation", "relu"}}) {
    EXPECT_NE(MustRead(With(TinyDistilBertConfig(), field, value)).fingerprint_config, before)
        << field;
  }
}

TEST(DistilBertLayoutTest, EachRequiredSizeIsMissed) {
  for (const char* field : {"dim", "n_layers", "n_heads", "hidden_dim", "vocab_size"}) {
    EXPECT_EQ(Refusal(Without(TinyDistilBertConfig(), field)),
              InvalidArgumentError("config.json: " + std::string(field) + " is missing"));
  }
}

TEST(DistilBertLayoutTest, EachSizeIsRefusedWhenAbsurdOrOfAnotherType) {
  for (const auto& [field, too_many] : {std::pair<const char*, int64_t>{"dim", (1 << 16) + 1},
                                        {"n_layers", 1025},
                                        {"n_heads", 1025},
                                        {"hidden_dim", (1 << 18) + 1},
                                        {"vocab_size", (1 << 24) + 1},
                                        {"max_position_embeddings", (1 << 20) + 1}}) {
    for (const Json& value :
         {Json(0), Json(-1), Json(too_many), Json(UINT64_MAX), Json("4"), Json(4.5)}) {
      const Status status = Refusal(With(TinyDistilBertConfig(), field, value));

      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
      EXPECT_THAT(status.message(), HasSubstr(field)) << value;
    }
  }
}

TEST(DistilBertLayoutTest, HeadsMustDivideTheWidth) {
  const Status status = Refusal(With(TinyDistilBertConfig(), "n_heads", 5));

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("dim isn't a multiple of n_heads"));
}

TEST(DistilBertLayoutTest, AnActivationThatIsNotBuiltIsSaid) {
  EXPECT_EQ(Refusal(With(TinyDistilBertConfig(), "activation", "mish")).code(),
            StatusCode::kUnimplemented);
  EXPECT_EQ(Refusal(With(TinyDistilBertConfig(), "activation", 1)).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace graft::families
