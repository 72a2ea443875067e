#include "common/methods/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::set<std::string> Names(const std::vector<TensorSpec>& tensors) {
  std::set<std::string> names;
  for (const TensorSpec& tensor : tensors) names.insert(tensor.name);
  return names;
}

std::set<std::string> LastLayers(int num_layers, const families::Layout& layout) {
  const auto tensors = Resolved("last_layers", {{"num_layers", num_layers}}, layout)
                           ->Tensors(layout, tasks::Labels(2));
  ExpectWellFormed(tensors);
  return Names(tensors);
}

TEST(LastLayersSpecTest, DefaultIsTheHeadOnly) {
  const Method method = Parsed("last_layers", Json::object());

  EXPECT_EQ(method->ToJson(), Json({{"num_layers", 0}}));
  EXPECT_EQ(method->default_learning_rate(), 1e-3);
  EXPECT_EQ(method->artifact_format(), "graft");
}

TEST(LastLayersSpecTest, EachFaultNamesItsField) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"num_layers", -1},
                                     {"num_layers", 1025},
                                     {"num_layers", 0.5},
                                     {"num_layers", "all"},
                                     {"layers", 1}}) {
    const Status status = ParseMethod("last_layers", {{field, value}}).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_EQ(FieldOf(status), std::string("method.last_layers.") + field) << value;
  }
}

TEST(LastLayersSpecTest, ThereMustBeThatManyLayers) {
  EXPECT_TRUE(Refusal("last_layers", {{"num_layers", 2}}, TinyBert()).ok());

  const Status status = Refusal("last_layers", {{"num_layers", 3}}, TinyBert());

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "method.last_layers.num_layers");
  EXPECT_THAT(status.message(), HasSubstr("2 layers"));
}

TEST(LastLayersSpecTest, NoLayerMeansTheHeadAndThePooler) {
  EXPECT_THAT(LastLayers(0, TinyBert()),
              ElementsAre("bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias",
                          "classifier.weight"));
  EXPECT_THAT(LastLayers(0, TinyDistilBert()),
              ElementsAre("classifier.bias", "classifier.weight", "pre_classifier.bias",
                          "pre_classifier.weight"));
}

TEST(LastLayersSpecTest, LayersAreCountedFromTheTop) {
  const std::set<std::string> names = LastLayers(1, TinyBert());

  EXPECT_EQ(names.size(), 4u + 16);
  EXPECT_TRUE(names.contains("bert.encoder.layer.1.output.LayerNorm.weight"));
  for (const std::string& name : names) {
    EXPECT_EQ(name.find("layer.0."), std::string::npos) << name;
    EXPECT_EQ(name.find("embeddings"), std::string::npos) << name;
  }
}

TEST(LastLayersSpecTest, AllLayersLeaveTheEmbeddings) {
  EXPECT_EQ(LastLayers(2, TinyBert()).size(), 4u + 2 * 16);
}

TEST(LastLayersSpecTest, TensorsAreAStateDictWithHuggingFacesNames) {
  const families::Layout layout = TinyBert();
  const auto tensors = ByName(
      Resolved("last_layers", {{"num_layers", 1}}, layout)->Tensors(layout, tasks::Labels(3)));

  const TensorSpec& query = tensors.at("bert.encoder.layer.1.attention.self.query.weight");
  EXPECT_EQ(query.file, "model.safetensors");
  EXPECT_EQ(query.key, query.name);
  EXPECT_TRUE(query.overrides_base);
  EXPECT_EQ(query.layer, 1);
  EXPECT_THAT(query.shape, ElementsAre(48, 48));
  EXPECT_TRUE(tensors.at("bert.pooler.dense.weight").overrides_base);
  EXPECT_FALSE(tensors.at("classifier.weight").overrides_base);
  EXPECT_THAT(tensors.at("classifier.weight").shape, ElementsAre(3, 48));
  EXPECT_FALSE(tensors.at("bert.encoder.layer.1.output.LayerNorm.weight").decay);
  EXPECT_TRUE(query.decay);
}

// By hand: DistilBERT-base's layer holds 12 D^2 + 13 D = 7,087,872 parameters at D = 768 and a
// feed-forward of 4 D; the head 592,130; MiniLM's pooler 384 * 384 + 384, its classifier 770.
TEST(LastLayersSpecTest, TrainableParametersAreThoseOfTheLayers) {
  EXPECT_EQ(Trainable("last_layers", Json::object(), MiniLm(), 2), 147'840 + 770);
  EXPECT_EQ(Trainable("last_layers", {{"num_layers", 2}}, DistilBertBase(), 2),
            2 * 7'087'872 + 592'130);
}

TEST(LastLayersSpecTest, ThereIsNoConfigFile) {
  const families::Layout layout = TinyBert();

  EXPECT_TRUE(Resolved("last_layers", Json::object(), layout)->ConfigFiles(layout, {}).empty());
}

TEST(FullSpecTest, ItHasNoFields) {
  EXPECT_EQ(Parsed("full", Json::object())->ToJson(), Json::object());
  EXPECT_EQ(Parsed("full", Json::object())->default_learning_rate(), 5e-5);
  EXPECT_EQ(Parsed("full", Json::object())->artifact_format(), "graft");
  EXPECT_EQ(FieldOf(ParseMethod("full", {{"rank", 8}}).status()), "method.full.rank");
}

TEST(FullSpecTest, EveryTensorIsTrained) {
  const families::Layout layout = TinyBert();
  const auto tensors = Resolved("full", Json::object(), layout)->Tensors(layout, tasks::Labels(2));

  ExpectWellFormed(tensors);
  std::set<std::string> expected = {"classifier.weight", "classifier.bias"};
  for (const families::TensorShape& tensor : layout.tensors) expected.insert(tensor.name);
  EXPECT_EQ(Names(tensors), expected);
}

// sum(p.numel()) of transformers 5.23.0's Bert- and DistilBertForSequenceClassification with three
// labels at the tiny sizes.
TEST(FullSpecTest, TrainableParametersAreTransformers) {
  EXPECT_EQ(Trainable("full", Json::object(), TinyBert(), 3), 44'083);
  EXPECT_EQ(Trainable("full", Json::object(), TinyDistilBert(), 3), 43'987);
}

TEST(FullSpecTest, ConfigFileIsOneThatTransformersLoads) {
  const families::Layout layout = TinyDistilBert();
  const auto files = Resolved("full", Json::object(), layout)
                         ->ConfigFiles(layout, {"base", "a", tasks::Classification({"no", "yes"})});

  ASSERT_EQ(files.size(), 1u);
  const Json config = Json::parse(files.at("config.json"));
  EXPECT_EQ(config["architectures"], Json({"DistilBertForSequenceClassification"}));
  EXPECT_EQ(config["id2label"], Json({{"0", "no"}, {"1", "yes"}}));
  EXPECT_EQ(config["label2id"], Json({{"no", 0}, {"yes", 1}}));
  EXPECT_EQ(families::MustRead(config).fingerprint_config, layout.fingerprint_config);
}

// Every golden base, whose windows and ropes stand in both of transformers' forms.
TEST(FullSpecTest, ADecodersConfigFileIsReadBackAsItsBase) {
  namespace fs = std::filesystem;
  int bases = 0;
  for (const auto& entry : fs::directory_iterator(GRAFT_SOURCE_DIR "/tests/golden/decoders")) {
    if (!entry.path().filename().string().starts_with("base-")) continue;
    ++bases;
    const auto text = ReadFile(entry.path() / "config.json");
    ASSERT_TRUE(text.ok()) << text.status();
    const auto layout = families::ReadLayout(*text, {"lm_head.weight"});
    ASSERT_TRUE(layout.ok()) << layout.status();
    const tasks::TaskSpec language = {.kind = tasks::Kind::kCausalLanguageModeling,
                                      .label_names = {}};
    const Json config =
        Json::parse(Resolved("full", Json::object(), *layout)
                        ->ConfigFiles(*layout, {"base", "a", language})["config.json"]);

    EXPECT_EQ(config["architectures"], Json::array({layout->model_class + "ForCausalLM"}));
    EXPECT_EQ(families::MustRead(config).fingerprint_config, layout->fingerprint_config)
        << entry.path();
    EXPECT_FALSE(config.contains("windows")) << "graft's own word";
    EXPECT_FALSE(config.contains("rope_parameters")) << "transformers 4 passes over it";
    EXPECT_TRUE(config["rope_theta"].is_number());
    EXPECT_TRUE(config.contains("rope_scaling"));
    for (const char* token : {"bos_token_id", "eos_token_id", "pad_token_id"})
      EXPECT_EQ(config.value(token, Json()), Json::parse(*text)[token]) << token;
    EXPECT_FALSE(config.contains("id2label")) << "no labels, which isn't a list of none";
  }
  EXPECT_EQ(bases, 9);
}

TEST(FullSpecTest, ConfigFileNamesBertsOwnClass) {
  const families::Layout layout = TinyBert();
  const auto files = Resolved("full", Json::object(), layout)->ConfigFiles(layout, {});

  EXPECT_EQ(Json::parse(files.at("config.json"))["architectures"],
            Json({"BertForSequenceClassification"}));
}

}  // namespace
}  // namespace graft::methods
