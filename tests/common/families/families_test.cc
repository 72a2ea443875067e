#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/utf8.h"
#include "common/families/layout.h"
#include "tests/common/families/configs.h"

namespace graft::families {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ReadLayoutTest, EachFamilyIsFoundByItsModelType) {
  EXPECT_THAT(FamilyNames(),
              ElementsAre("bert", "distilbert", "llama", "mistral", "qwen2", "qwen3"));
  EXPECT_EQ(MustRead(TinyBertConfig()).family, "bert");
  EXPECT_EQ(MustRead(TinyDistilBertConfig()).family, "distilbert");
}

TEST(ReadLayoutTest, AnUnknownModelTypeIsNamedWithWhatThereIs) {
  for (const char* type : {"t5", "", "BERT", "bert ", "distilbert2"}) {
    const Status status = Refusal(With(TinyBertConfig(), "model_type", type));

    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << type;
    EXPECT_THAT(status.message(), HasSubstr(type)) << type;
    EXPECT_THAT(status.message(), HasSubstr("bert, distilbert")) << type;
  }
}

TEST(ReadLayoutTest, AnAbsurdModelTypeIsCutBetweenCharacters) {
  // 79 bytes and then a character of two.
  const std::string type = std::string(79, 'x') + "\xC3\xA9" + std::string(10'000, 'y');

  const Status status = Refusal(With(TinyBertConfig(), "model_type", type));

  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_LT(status.message().size(), 300u);
  EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
}

TEST(ReadLayoutTest, AConfigWithoutAModelTypeIsRefused) {
  for (const Json& config :
       {Without(TinyBertConfig(), "model_type"), With(TinyBertConfig(), "model_type", nullptr),
        With(TinyBertConfig(), "model_type", 7), Json::array({TinyBertConfig()}), Json(), Json(3),
        Json("bert")}) {
    const Status status = Refusal(config);

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << config;
    EXPECT_THAT(status.message(), HasSubstr("has no model_type")) << config;
  }
}

TEST(ReadLayoutTest, TextThatIsNoJsonIsRefused) {
  for (const char* text : {"", "{", "{\"model_type\":\"bert\"", "not json", "\xFF"}) {
    const Status status = ReadLayout(text, {}).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("config.json")) << text;
  }
}

TEST(ReadLayoutTest, ATextOverAMebibyteIsRefused) {
  const Json config = With(TinyBertConfig(), "id2label", std::string(1 << 20, 'x'));

  EXPECT_EQ(Refusal(config).code(), StatusCode::kInvalidArgument);
}

TEST(ReadLayoutTest, FieldsThatTheForwardDoesNotUseAreIgnored) {
  const Json config = With(With(TinyBertConfig(), "architectures", Json::array({"BertModel"})),
                           "hidden_dropout_prob", 0.1);

  EXPECT_EQ(MustRead(config).fingerprint_config, MustRead(TinyBertConfig()).fingerprint_config);
}

TEST(LayoutTest, RelativeNameIsWhatFollowsTheLayersNumber) {
  EXPECT_EQ(RelativeName({"bert.encoder.layer.0.attention.self.query", 1, 1, 0}),
            "attention.self.query");
  EXPECT_EQ(RelativeName({"bert.encoder.layer.11.output.dense", 1, 1, 11}), "output.dense");
  EXPECT_EQ(RelativeName({"bert.pooler.dense", 1, 1, kAboveLayers}), "bert.pooler.dense");
}

TEST(LayoutTest, RelativeNameTakesTheWholeNumber) {
  // Layer 1's name also stands inside "layer.11.".
  EXPECT_EQ(RelativeName({"m.layer.11.x.1.q", 1, 1, 1}), "q");
}

TEST(LayoutTest, ParameterCountOfNoTensorsIsZero) { EXPECT_EQ(Layout{}.ParameterCount(), 0); }

TEST(LayoutTest, ParameterCountSurvivesTheLargestSizesThatAreAllowed) {
  Json config = TinyBertConfig();
  config["vocab_size"] = 1 << 24;
  config["hidden_size"] = 1 << 16;
  config["intermediate_size"] = 1 << 18;
  config["num_hidden_layers"] = 1024;

  const Layout layout = MustRead(config, {});

  const int64_t d = 1 << 16;
  const int64_t f = 1 << 18;
  const int64_t per_layer = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 4 * d;
  EXPECT_EQ(layout.ParameterCount(), ((1 << 24) + 40 + 2 + 2) * d + 1024 * per_layer);
}

}  // namespace
}  // namespace graft::families
