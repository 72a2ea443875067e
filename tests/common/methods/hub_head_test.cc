// The heads of AdapterHub's folders.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/methods/hub_folder.h"

namespace graft::methods {
namespace {

using families::With;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(HubHeadTest, AHeadThatIsNotBuiltIsRefusedByNameAndValue) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"head_type", "tagging"},
                                     {"head_type", "multilabel_classification"},
                                     {"head_type", "multiple_choice"},
                                     {"head_type", "question_answering"},
                                     {"head_type", "causal_lm"},
                                     {"head_type", nullptr},
                                     {"layers", 0},
                                     {"layers", 99},
                                     {"layers", nullptr},
                                     {"use_pooler", "yes"},
                                     {"bias", 0},
                                     {"num_labels", 1},
                                     {"num_labels", 3},
                                     {"share_embeddings", true}}) {
    const Status status = ImportHub(HubConfig(), HeadWith(field, value)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_THAT(status.message(), HasSubstr("head_config.json")) << field;
    EXPECT_THAT(status.message(),
                HasSubstr(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  Json unknown = HeadWith("activation_function", "prelu");
  unknown["config"]["layers"] = 2;
  EXPECT_THAT(ImportHub(HubConfig(), unknown).status().message(),
              HasSubstr("activation_function is \"prelu\""));
  for (const Json& head : {Json(3), Json::array(), Json::object(), With(HubHead(), "config", 3)}) {
    EXPECT_EQ(ImportHub(HubConfig(), head).status().code(), StatusCode::kInvalidArgument) << head;
  }
}

struct HeadCase {
  int layers;
  Json activation;
  bool pooler, bias;
  Json text;
  std::vector<std::string> keys;  ///< Of the weights, "heads.oracle." before and ".weight" behind.
};

TEST(HubHeadTest, AHeadOfAnotherFormIsTakenOverUnlessItIsTheFamilys) {
  for (const HeadCase& test :
       {HeadCase{1, "tanh", true, true, nullptr, {"1"}},
        {1, "tanh", false, true, "first-token", {"1"}},
        {2, "tanh", false, true, "first-token:tanh", {"1", "4"}},
        {2, nullptr, false, true, "first-token:linear", {"1", "3"}},
        {3, "swish", true, false, "pooler:silu,silu/no-bias", {"1", "4", "7"}}}) {
    Json head = HeadWith("layers", test.layers);
    head["config"]["activation_function"] = test.activation;
    head["config"]["use_pooler"] = test.pooler;
    head["config"]["bias"] = test.bias;
    Shapes shapes = {
        {"bert.encoder.layer.0.output.adapters.oracle.adapter_down.0.weight", {6, 48}}};
    for (const std::string& key : test.keys) shapes["heads.oracle." + key + ".weight"] = {48, 48};

    const auto imported = ImportHub(HubConfig(), head, shapes);

    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_EQ(imported->method->ToJson().value("head", Json()), test.text);
    EXPECT_EQ(imported->renamed_keys.at("heads.oracle." + test.keys.back() + ".weight"),
              "classifier.weight");
    const auto files =
        imported->method->ConfigFiles(TinyBert(), {"b", "a", tasks::Classification({"no", "yes"})});
    const Json written = Json::parse(files.at("head_config.json"))["config"];
    for (const char* field : {"layers", "use_pooler", "bias"})
      EXPECT_EQ(written[field], head["config"][field]) << field;
    if (test.layers > 1) {
      EXPECT_EQ(written["activation_function"], test.activation);
    }
  }
}

TEST(HubHeadTest, AModelClasssOwnHeadIsTheFamilys) {
  const Json head = Json::parse(R"({"config": null, "hidden_size": 48, "name": null,
    "model_class": "BertForSequenceClassification", "num_labels": 2,
    "label2id": {"no": 0, "yes": 1}, "version": "adapters.1.3.0"})");
  Shapes shapes = {{"bert.encoder.layer.0.output.adapters.a.adapter_down.0.weight", {6, 48}},
                   {"classifier.weight", {2, 48}},
                   {"classifier.bias", {2}}};

  const auto imported = ImportHub(HubConfig(), head, shapes);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_FALSE(imported->method->ToJson().contains("head"));
  EXPECT_THAT(imported->task.label_names, ElementsAre("no", "yes"));
  EXPECT_EQ(imported->renamed_keys.at("classifier.weight"), "classifier.weight");
  for (const char* other : {"BertForTokenClassification", "RobertaForSequenceClassification"}) {
    EXPECT_THAT(ImportHub(HubConfig(), With(head, "model_class", other)).status().message(),
                HasSubstr(other));
  }
  EXPECT_THAT(ImportHub(HubConfig(), With(head, "num_labels", 1)).status().message(),
              HasSubstr("regression"));
}

TEST(HubHeadTest, AHeadOnAPoolerThatTheBaseLacksIsRefused) {
  const Shapes shapes = {
      {"distilbert.transformer.layer.0.output_adapters.adapters.a.adapter_down.0.weight", {6, 48}}};

  const Status status = ImportMethod({{"adapter_config.json", HubConfig().dump()},
                                      {"head_config.json", HubHead().dump()}},
                                     shapes, TinyDistilBert())
                            .status();

  EXPECT_THAT(status.message(), HasSubstr("use_pooler is true, but this base"));
}

TEST(HubHeadTest, LabelsThatAreNoNumberingAreRefused) {
  for (const Json& labels :
       {Json{{"a", 0}, {"b", 0}}, Json{{"a", 1}, {"b", 2}}, Json{{"a", 0}, {"b", -1}},
        Json{{"a", 0}, {"b", "1"}}, Json{{"a", 0}, {"b", 1.0}}, Json{{"a", 0}, {"b", nullptr}}}) {
    const Status status = ImportHub(HubConfig(), HeadWith("label2id", labels)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << labels;
    EXPECT_THAT(status.message(), HasSubstr("label2id")) << labels;
  }
}

TEST(HubHeadTest, WithoutLabelsThereAreNoNames) {
  const auto imported = ImportHub(HubConfig(), HeadWith("label2id", nullptr));

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_THAT(imported->task.label_names, IsEmpty());
}

TEST(HubHeadTest, AHeadWhoseLayersDifferHasNoFileAndIsRefused) {
  const Status status = ParseMethod("bottleneck", {{"head", "first-token:tanh,relu"}}).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("one activation"));
}

}  // namespace
}  // namespace graft::methods
