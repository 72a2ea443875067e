#include "common/methods/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using families::With;
using testing::ElementsAre;
using testing::HasSubstr;

const LoraSpec& AsLora(const Method& method) { return dynamic_cast<const LoraSpec&>(*method); }

TEST(LoraSpecTest, DefaultsAreTheProtos) {
  const Method method = Parsed("lora", Json::object());

  EXPECT_EQ(method->ToJson(), Json({{"rank", 8},
                                    {"alpha", 16.0},
                                    {"dropout", 0.0},
                                    {"rslora", false},
                                    {"target_modules", Json::array()}}));
  EXPECT_EQ(method->name(), "lora");
  EXPECT_EQ(method->artifact_format(), "peft");
}

TEST(LoraSpecTest, AlphaFollowsTheRank) {
  EXPECT_EQ(AsLora(Parsed("lora", {{"rank", 64}})).alpha(), 128);
  EXPECT_EQ(AsLora(Parsed("lora", {{"rank", 64}, {"alpha", 4}})).alpha(), 4);
}

TEST(LoraSpecTest, FieldsRoundTrip) {
  const Json fields = {{"rank", 3},
                       {"alpha", 2.5},
                       {"dropout", 0.125},
                       {"rslora", true},
                       {"target_modules", {"key", "output.dense"}}};

  const Json written = Parsed("lora", fields)->ToJson();

  EXPECT_EQ(written, fields);
  EXPECT_EQ(Parsed("lora", written)->ToJson(), written);
}

TEST(LoraSpecTest, BoundsAreAllowed) {
  for (const Json& fields : {Json{{"rank", 1}}, Json{{"rank", 1024}}, Json{{"alpha", 1e6}},
                             Json{{"alpha", 1e-9}}, Json{{"dropout", 0.999}}}) {
    EXPECT_TRUE(ParseMethod("lora", fields).ok()) << fields;
  }
}

TEST(LoraSpecTest, EachFaultNamesItsField) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"rank", 0},
                                     {"rank", -1},
                                     {"rank", 1025},
                                     {"rank", 2.5},
                                     {"rank", "eight"},
                                     {"rank", true},
                                     {"alpha", 0},
                                     {"alpha", -1},
                                     {"alpha", 1e7},
                                     {"alpha", "16"},
                                     {"dropout", 1},
                                     {"dropout", -0.1},
                                     {"dropout", "0"},
                                     {"rslora", 1},
                                     {"rslora", "yes"},
                                     {"target_modules", "query"},
                                     {"target_modules", {"query", Json(1)}},
                                     {"target_modules", {""}},
                                     {"target_modules", {std::string(257, 'q')}},
                                     {"target_modules", std::vector<std::string>(4097, "query")},
                                     {"modules_to_save", {""}},
                                     {"rank_pattern", {{"query", 0}}},
                                     {"rank_pattern", {1}},
                                     {"alpha_pattern", {{"query", "x"}}},
                                     {"bias", "some"},
                                     {"r", 8},
                                     {"lora_alpha", 8}}) {
    const Status status = ParseMethod("lora", {{field, value}}).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_EQ(FieldOf(status), std::string("method.lora.") + field) << value;
    EXPECT_THAT(status.message(), HasSubstr(std::string("method.lora.") + field)) << value;
  }
}

TEST(LoraSpecTest, ScalingIsAlphaOverTheRankOrItsRoot) {
  const Method plain = Parsed("lora", {{"rank", 16}, {"alpha", 8}});
  const Method rslora = Parsed("lora", {{"rank", 16}, {"alpha", 8}, {"rslora", true}});
  EXPECT_DOUBLE_EQ(AsLora(plain).ScalingOf("query"), 0.5);
  EXPECT_DOUBLE_EQ(AsLora(rslora).ScalingOf("query"), 2);
}

TEST(LoraSpecTest, TargetsDefaultToTheFamilys) {
  EXPECT_THAT(AsLora(Resolved("lora", Json::object(), TinyBert())).target_modules(),
              ElementsAre("query", "value"));
  EXPECT_THAT(AsLora(Resolved("lora", Json::object(), TinyDistilBert())).target_modules(),
              ElementsAre("q_lin", "v_lin"));
}

TEST(LoraSpecTest, AllLinearIsTheListOfNames) {
  EXPECT_THAT(
      AsLora(Resolved("lora", {{"target_modules", {"all-linear"}}}, TinyBert())).target_modules(),
      ElementsAre("attention.output.dense", "attention.self.key", "attention.self.query",
                  "attention.self.value", "intermediate.dense", "output.dense"));
}

TEST(LoraSpecTest, TargetsAreSortedAndCountOnce) {
  EXPECT_THAT(AsLora(Resolved("lora", {{"target_modules", {"value", "key", "value"}}}, TinyBert()))
                  .target_modules(),
              ElementsAre("key", "value"));
}

TEST(LoraSpecTest, ATargetIsAWholePathOrItsEndBehindADot) {
  const families::Layout layout = TinyBert();
  const auto wrapped = [&](const char* target) {
    std::set<std::string> paths;
    const Method method = Resolved("lora", {{"target_modules", {target}}}, layout);
    for (const families::Linear& linear : layout.linears) {
      if (AsLora(method).Targets(linear)) paths.insert(linear.path);
    }
    return paths;
  };

  EXPECT_THAT(wrapped("bert.encoder.layer.1.attention.self.key"),
              ElementsAre("bert.encoder.layer.1.attention.self.key"));
  EXPECT_THAT(wrapped("0.output.dense"), ElementsAre("bert.encoder.layer.0.output.dense"));
  // As in PEFT, this end is shared with the attention's output.
  EXPECT_EQ(wrapped("output.dense").size(), 4u);
  EXPECT_EQ(wrapped("attention.output.dense").size(), 2u);
}

TEST(LoraSpecTest, ATargetThatNamesNothingIsRefusedWithTheNames) {
  for (const char* target : {"q_lin", "uery", "self.query.weight", "bert", "LayerNorm", "QUERY"}) {
    const Status status = Refusal("lora", {{"target_modules", {"value", target}}}, TinyBert());

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << target;
    EXPECT_EQ(FieldOf(status), "method.lora.target_modules") << target;
    EXPECT_EQ(ReasonOf(status), "NO_SUCH_MODULE") << target;
    EXPECT_THAT(status.message(), HasSubstr("\"" + std::string(target) + "\"")) << target;
    EXPECT_THAT(status.message(), HasSubstr("attention.self.query")) << target;
  }
}

TEST(LoraSpecTest, ATargetThatAlsoNamesTheHeadIsRefused) {
  const families::Layout bert = TinyBert();
  const families::Layout distilbert = TinyDistilBert();
  for (const auto& [target, layout] :
       {std::pair{"classifier", &bert}, {"pre_classifier", &distilbert}}) {
    const Status status = Refusal("lora", {{"target_modules", {target}}}, *layout);

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << target;
    EXPECT_EQ(FieldOf(status), "method.lora.target_modules") << target;
    EXPECT_THAT(status.message(), HasSubstr("head's")) << target;
  }
}

TEST(LoraSpecTest, TensorsCarryPeftsNamesShapesAndFile) {
  const families::Layout layout = TinyBert();
  const auto all =
      Resolved("lora", {{"rank", 3}, {"target_modules", {"intermediate.dense"}}}, layout)
          ->Tensors(layout, tasks::Labels(5));

  ExpectWellFormed(all);
  const auto tensors = ByName(all);
  ASSERT_EQ(tensors.size(), 6u);
  const TensorSpec& a = tensors.at("bert.encoder.layer.1.intermediate.dense.lora_A.weight");
  EXPECT_THAT(a.shape, ElementsAre(3, 48));
  EXPECT_EQ(a.file, "adapter_model.safetensors");
  EXPECT_EQ(a.key, "base_model.model.bert.encoder.layer.1.intermediate.dense.lora_A.weight");
  EXPECT_EQ(a.layer, 1);
  EXPECT_TRUE(a.trained);
  EXPECT_TRUE(a.decay);
  EXPECT_FALSE(a.overrides_base);
  const TensorSpec& b = tensors.at("bert.encoder.layer.1.intermediate.dense.lora_B.weight");
  EXPECT_THAT(b.shape, ElementsAre(80, 3));
  const TensorSpec& weight = tensors.at("classifier.weight");
  EXPECT_THAT(weight.shape, ElementsAre(5, 48));
  EXPECT_EQ(weight.key, "base_model.model.classifier.weight");
  EXPECT_EQ(weight.layer, families::kAboveLayers);
  EXPECT_TRUE(weight.decay);
  EXPECT_THAT(tensors.at("classifier.bias").shape, ElementsAre(5));
  EXPECT_FALSE(tensors.at("classifier.bias").decay);
}

TEST(LoraSpecTest, OnlyWhatIsNewOfTheHeadIsStored) {
  const families::Layout with_pooler = TinyBert();
  const families::Layout without = families::MustRead(families::TinyBertConfig(), {});
  const families::Layout distilbert = TinyDistilBert();
  const auto tensors = [](const families::Layout& layout) {
    return ByName(Resolved("lora", Json::object(), layout)->Tensors(layout, tasks::Labels(2)));
  };

  EXPECT_FALSE(tensors(with_pooler).contains("bert.pooler.dense.weight"));
  EXPECT_TRUE(tensors(without).contains("bert.pooler.dense.weight"));
  EXPECT_TRUE(tensors(distilbert).contains("pre_classifier.weight"));
}

// By hand, D width, L layers, r rank: query and value hold 2 * L * 2 * r * D, the classifier
// n * D + n, DistilBERT's pre_classifier D * D + D. The sums are what PEFT 0.21.2 with transformers
// 5.23.0 counts as trainable for these configs and two labels.
TEST(LoraSpecTest, TrainableParametersArePefts) {
  const families::Layout minilm = MiniLm();
  const families::Layout base = families::MustRead(families::BertBaseConfig());

  EXPECT_EQ(Trainable("lora", {{"rank", 8}}, minilm, 2), 73'728 + 770);
  EXPECT_EQ(Trainable("lora", {{"rank", 8}}, base, 2), 294'912 + 1'538);
  EXPECT_EQ(Trainable("lora", {{"rank", 8}}, DistilBertBase(), 2), 147'456 + 592'130);
  EXPECT_EQ(Trainable("lora", {{"rank", 4}, {"target_modules", {"all-linear"}}}, minilm, 2),
            166'658);
  EXPECT_EQ(Trainable("lora", {{"rank", 4}, {"target_modules", {"output.dense"}}}, minilm, 2),
            65'282);
}

TEST(LoraSpecTest, ConfigFileHasTheKeysThatOldPeftKnows) {
  const families::Layout layout = TinyDistilBert();
  const Method method = Resolved("lora", {{"rank", 4}, {"alpha", 12}, {"dropout", 0.1}}, layout);

  const auto files =
      method->ConfigFiles(layout, {"some-base", "support", tasks::Classification({"no", "yes"})});

  ASSERT_EQ(files.size(), 1u);
  const Json config = Json::parse(files.at("adapter_config.json"));
  EXPECT_EQ(config, Json::parse(R"({
    "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "some-base",
    "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
    "layers_pattern": null, "layers_to_transform": null, "lora_alpha": 12, "lora_dropout": 0.1,
    "modules_to_save": ["classifier", "pre_classifier"], "peft_type": "LORA", "r": 4,
    "rank_pattern": {}, "revision": null, "target_modules": ["q_lin", "v_lin"],
    "task_type": "SEQ_CLS", "use_dora": false, "use_rslora": false})"));
}

TEST(LoraSpecTest, AWholeAlphaIsWrittenAsOneAndAFractionKept) {
  const families::Layout layout = TinyBert();
  const auto text = [&](const Json& alpha) {
    return Resolved("lora", {{"alpha", alpha}}, layout)
        ->ConfigFiles(layout, {})
        .at("adapter_config.json");
  };

  EXPECT_THAT(text(12), HasSubstr("\"lora_alpha\": 12,"));
  EXPECT_THAT(text(2.5), HasSubstr("\"lora_alpha\": 2.5,"));
}

TEST(LoraSpecTest, ModulesToSaveAreWhatIsNewOfTheHead) {
  const auto saved = [](const families::Layout& layout) {
    return Json::parse(Resolved("lora", Json::object(), layout)
                           ->ConfigFiles(layout, {})
                           .at("adapter_config.json"))["modules_to_save"];
  };

  EXPECT_EQ(saved(TinyBert()), Json({"classifier"}));
  EXPECT_EQ(saved(families::MustRead(families::TinyBertConfig(), {})),
            Json({"classifier", "pooler"}));
}

TEST(LoraSpecTest, AnAbsurdRankTimesEverythingStaysCounted) {
  EXPECT_EQ(
      Trainable("lora", {{"rank", 1024}, {"target_modules", {"all-linear"}}}, MiniLm(), 10000),
      int64_t{6} * 1024 * (4 * 768 + 2 * 1920) + 10000 * 385);
}

}  // namespace
}  // namespace graft::methods
