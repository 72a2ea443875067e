// AdapterHub's folders: what is recognised, and that nothing that graft doesn't compute is passed
// over.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/utf8.h"
#include "tests/common/methods/hub_folder.h"

namespace graft::methods {
namespace {

using families::With;
using families::Without;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ImportHubTest, FieldsAndTheSizeOfTheTensorsAreTaken) {
  const auto imported = ImportHub(HubConfig());

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson(), Json({{"placement", "HOULSBY"},
                                              {"size", 6},
                                              {"activation", "silu"},
                                              {"init_std", 0.01},
                                              {"dropout", 0.25},
                                              {"unfreeze_base", false},
                                              {"residual", true},
                                              {"freeze_head", false}}));
  EXPECT_THAT(imported->task.label_names, ElementsAre("no", "yes"));
}

TEST(ImportHubTest, TheBaseThatTheFolderNamesIsTold) {
  EXPECT_EQ(ImportHub(HubConfig())->declared_base, "");
  Json config = HubConfig();
  config["model_name"] = "bert-base-cased";
  EXPECT_EQ(ImportHub(config)->declared_base, "bert-base-cased");
}

TEST(ImportHubTest, AnotherModelThanTheBaseIsSaid) {
  Json config = HubConfig();
  config["model_type"] = "roberta";
  config["hidden_size"] = 768;

  EXPECT_THAT(ImportHub(config)->doubts,
              ElementsAre("adapter_config.json: model_type is \"roberta\", the base's is \"bert\"",
                          "adapter_config.json: hidden_size is 768, the base's is 48"));
}

TEST(ImportHubTest, PfeifferIsKnownByItsNorm) {
  Json config = HubWith("original_ln_before", true);
  config["config"]["mh_adapter"] = false;
  config["config"]["non_linearity"] = "relu";

  const auto imported = ImportHub(config);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson()["placement"], "PFEIFFER");
}

TEST(ImportHubTest, KeysAreRenamedFromTheFoldersAdapter) {
  const auto imported = ImportHub(HubConfig());

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->renamed_keys,
            (std::map<std::string, std::string>{
                {"bert.encoder.layer.0.output.adapters.oracle.adapter_down.0.weight",
                 "bert.encoder.layer.0.output.adapters.adapter_down.weight"},
                {"bert.encoder.layer.1.attention.output.adapters.oracle.adapter_up.bias",
                 "bert.encoder.layer.1.attention.output.adapters.adapter_up.bias"},
                {"heads.oracle.1.weight", "classifier.weight"},
                {"heads.oracle.1.bias", "classifier.bias"}}));
}

TEST(ImportHubTest, KeysMayLackTheModelsPrefix) {
  const std::string key = "encoder.layer.0.output.adapters.a.adapter_up.weight";

  Shapes shapes = HubShapes();
  shapes[key] = {48, 6};

  const auto imported = ImportHub(HubConfig(), HubHead(), shapes);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->renamed_keys.at(key),
            "bert.encoder.layer.0.output.adapters.adapter_up.weight");
}

TEST(ImportHubTest, WhatGraftWritesItReads) {
  for (const families::Layout& layout : {TinyBert(), TinyDistilBert()}) {
    for (const char* placement : {"HOULSBY", "PFEIFFER"}) {
      const Method method = Resolved(
          "bottleneck", {{"placement", placement}, {"size", 13}, {"dropout", 0.5}}, layout);
      const auto tensors = method->Tensors(layout, tasks::Labels(2));
      Shapes shapes;
      for (const TensorSpec& tensor : tensors) shapes[tensor.key] = tensor.shape;

      const auto imported = ImportMethod(
          method->ConfigFiles(layout, {"b", "a", tasks::Classification({"no", "yes"})}), shapes,
          layout);

      ASSERT_TRUE(imported.ok()) << imported.status();
      EXPECT_EQ(imported->method->ToJson(), method->ToJson());
      EXPECT_THAT(imported->task.label_names, ElementsAre("no", "yes"));
      for (const TensorSpec& tensor : tensors) {
        EXPECT_EQ(imported->renamed_keys.at(tensor.key), tensor.name);
      }
    }
  }
}

/// Writes a method's files and reads them again.
void ExpectReadAsWritten(const Method& method, const families::Layout& layout) {
  Shapes shapes;
  for (const TensorSpec& tensor : method->Tensors(layout, tasks::Labels(2)))
    shapes[tensor.key] = tensor.shape;

  const auto imported =
      ImportMethod(method->ConfigFiles(layout, {"b", "a", tasks::Classification({"no", "yes"})}),
                   shapes, layout);

  ASSERT_TRUE(imported.ok()) << method->ToJson() << imported.status();
  EXPECT_EQ(imported->method->ToJson(), method->ToJson());
  for (const TensorSpec& tensor : method->Tensors(layout, tasks::Labels(2)))
    EXPECT_EQ(imported->renamed_keys.at(tensor.key), tensor.name);
}

/// `forms` with each of the values in a field, and without it.
std::vector<Json> Times(const std::vector<Json>& forms, const char* field,
                        const std::vector<Json>& values) {
  std::vector<Json> result = forms;
  for (const Json& form : forms) {
    for (const Json& value : values) result.push_back(With(form, field, value));
  }
  return result;
}

TEST(ImportHubTest, EveryFormThatAJobMayNameIsWrittenWhole) {
  std::vector<Json> forms = {Json{{"size", 4}}};
  forms = Times(forms, "placement", {"PFEIFFER"});
  forms = Times(forms, "sublayers", {"both", "attention", "feed-forward"});
  forms = Times(forms, "parallel", {true});
  forms = Times(forms, "adds_to", {"norm", "sum"});
  forms = Times(forms, "norm_after", {false});
  forms = Times(forms, "scaling", {4.0});
  forms = Times(forms, "trained_scaling", {"one", "channel"});
  int accepted = 0;
  for (const Json& form : forms) {
    const auto method = ParseMethod("bottleneck", form);
    if (!method.ok()) continue;
    ++accepted;
    ExpectReadAsWritten(*(*method)->Resolve(TinyBert()), TinyBert());
  }
  EXPECT_EQ(accepted, 4 * 2 * 4 * (2 + 3));  // Houlsby's parallel or not; Pfeiffer's by their skip.
}

TEST(ImportHubTest, EveryFormThatGraftWritesItReads) {
  const families::Layout layout = TinyBert();
  for (const Json& form :
       {Json{{"parallel", true}, {"sublayers", "feed-forward"}, {"scaling", 4.0}},
        Json{{"placement", "PFEIFFER"}, {"adds_to", "sum"}},
        Json{{"placement", "PFEIFFER"},
             {"adds_to", "norm"},
             {"norm_after", false},
             {"trained_scaling", "channel"}},
        Json{{"trained_scaling", "one"}, {"leave_out", {0}}},
        Json{{"layer_sizes", {3, 5}}, {"size", 3}},
        Json{{"head", "first-token:gelu,gelu"}, {"activation", "relu6"}},
        Json{{"head", "pooler/no-bias"}}, Json{{"head", "first-token:linear"}}}) {
    ExpectReadAsWritten(
        Resolved("bottleneck", form.contains("size") ? form : With(form, "size", 4), layout),
        layout);
  }
}

TEST(ImportHubTest, AFieldThatIsNotBuiltIsRefusedByNameAndValue) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"architecture", "lora"},
                                     {"cross_adapter", true},
                                     {"inv_adapter", "nice"},
                                     {"is_parallel", 1},
                                     {"leave_out", "all"},
                                     {"ln_after", true},
                                     {"ln_before", true},
                                     {"mh_adapter", "yes"},
                                     {"phm_layer", true},
                                     {"residual_before_ln", "post_add"},
                                     {"residual_before_ln", "pre"},
                                     {"scaling", "trained"},
                                     {"stochastic_depth", 0.1},
                                     {"use_gating", true},
                                     {"non_linearity", "prelu"},
                                     {"non_linearity", 3}}) {
    const Status status = ImportHub(HubWith(field, value)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_THAT(status.message(), HasSubstr(field)) << value;
    EXPECT_THAT(status.message(),
                HasSubstr(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  for (const Json& dropout : {Json(1.0), Json("x")}) {
    const Status status = ImportHub(HubWith("dropout", dropout)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), "adapter_config.json: dropout must be a number in [0, 1)");
  }
}

/// What a field makes of the method, beyond Houlsby's.
Json Beyond(const char* field, const Json& value) {
  const auto imported = ImportHub(HubWith(field, value));
  if (!imported.ok()) return Json(std::string(imported.status().message()));
  Json method = imported->method->ToJson();
  for (const char* plain :
       {"size", "init_std", "dropout", "unfreeze_base", "residual", "freeze_head"}) {
    method.erase(plain);
  }
  return method;
}

TEST(ImportHubTest, OtherFormsAreTakenOver) {
  const Json houlsby = {{"placement", "HOULSBY"}, {"activation", "silu"}};
  const Json pfeiffer = {{"placement", "PFEIFFER"}, {"activation", "silu"}, {"sublayers", "both"}};

  EXPECT_EQ(Beyond("adapter_residual_before_ln", true), houlsby);
  EXPECT_EQ(Beyond("residual_before_ln", false), houlsby);
  EXPECT_EQ(Beyond("original_ln_before", true), pfeiffer);
  EXPECT_EQ(Beyond("mh_adapter", false), With(houlsby, "sublayers", "feed-forward"));
  EXPECT_EQ(Beyond("output_adapter", false), With(houlsby, "sublayers", "attention"));
  EXPECT_EQ(Beyond("original_ln_after", false), With(houlsby, "norm_after", false));
  EXPECT_EQ(Beyond("is_parallel", true), With(houlsby, "parallel", true));
  EXPECT_EQ(Beyond("leave_out", {1, 1, 7, -1}), With(houlsby, "leave_out", {1}));
  EXPECT_EQ(Beyond("scaling", 4.0), With(houlsby, "scaling", 4.0));
  EXPECT_EQ(Beyond("scaling", "learned"), With(houlsby, "trained_scaling", "one"));
  EXPECT_EQ(Beyond("scaling", "channel"), With(houlsby, "trained_scaling", "channel"));
  EXPECT_EQ(Beyond("non_linearity", "LeakyReLU"), With(houlsby, "activation", "leaky_relu"));
  EXPECT_EQ(Beyond("non_linearity", "gelu_new"), With(houlsby, "activation", "gelu_new"));
}

TEST(ImportHubTest, WhatPfeiffersAddsToIsTakenOver) {
  Json config = HubWith("original_ln_before", true);
  for (const auto& [skip, adds_to] :
       {std::pair<Json, Json>{true, nullptr}, {false, "norm"}, {"post_add", "sum"}}) {
    config["config"]["residual_before_ln"] = skip;

    const auto imported = ImportHub(config);

    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_EQ(imported->method->ToJson().value("adds_to", Json()), adds_to) << skip;
  }
}

TEST(ImportHubTest, LayersMayHaveWidthsOfTheirOwn) {
  Shapes shapes = HubShapes();
  shapes["bert.encoder.layer.1.output.adapters.oracle.adapter_down.0.weight"] = {12, 48};

  const auto imported = ImportHub(HubConfig(), HubHead(), shapes);

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson()["layer_sizes"], Json({6, 12}));
  shapes["bert.encoder.layer.1.attention.output.adapters.oracle.adapter_down.0.weight"] = {6, 48};
  EXPECT_THAT(ImportHub(HubConfig(), HubHead(), shapes).status().message(),
              HasSubstr("layer 1 have the widths"));
}

TEST(ImportHubTest, AFieldThatNobodyKnowsIsRefusedUnlessItIsOff) {
  const Status status = ImportHub(HubWith("use_newgate", true)).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("use_newgate"));
  EXPECT_TRUE(ImportHub(HubWith("use_newgate", false)).ok());
  EXPECT_TRUE(ImportHub(HubWith("use_newgate", nullptr)).ok());
}

TEST(ImportHubTest, AnAbsurdValueIsCutBetweenCharacters) {
  const Json value = std::string(38, 'x') + "\xC3\xA9" + std::string(38, 'x') + "\xC3\xA9" +
                     std::string(99999, 'y');
  for (const char* field : {"architecture", "scaling", "use_newgate"}) {
    const Status status = ImportHub(HubWith(field, value)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
    EXPECT_LT(status.message().size(), 400u) << field;
    EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
  }
}

TEST(ImportHubTest, BeforeTheAdaptersLibraryGeluMeantItsApproximation) {
  for (const auto& [theirs, ours] :
       {std::pair<const char*, const char*>{"gelu", "gelu_new"}, {"gelu_orig", "gelu"}}) {
    const auto imported = ImportHub(Without(HubWith("non_linearity", theirs), "version"));

    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_EQ(imported->method->ToJson()["activation"], ours);
  }
  EXPECT_EQ(ImportHub(HubWith("non_linearity", "gelu"))->method->ToJson()["activation"], "gelu");
}

TEST(ImportHubTest, AConfigThatIsNoObjectIsRefused) {
  for (const Json& config : {Json("houlsby"), Json(3), Json(nullptr), Json::array()}) {
    EXPECT_EQ(ImportHub(With(HubConfig(), "config", config)).status().code(),
              StatusCode::kInvalidArgument)
        << config;
  }
}

TEST(ImportHubTest, ASizeThatTheBaseCantHoldIsRefused) {
  for (const int64_t size : {int64_t{0}, int64_t{49}, int64_t{1} << 40}) {
    Shapes shapes = HubShapes();
    shapes["bert.encoder.layer.0.output.adapters.oracle.adapter_down.0.weight"] = {size, 48};

    EXPECT_EQ(ImportHub(HubConfig(), HubHead(), shapes).status().code(),
              StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(ImportHubTest, AFolderOfAnotherModelIsRefused) {
  const Shapes shapes = {
      {"distilbert.transformer.layer.0.output_adapters.adapters.a.adapter_down.0.weight", {6, 48}},
      {"heads.a.1.weight", {2, 48}}};

  const Status status = ImportHub(HubConfig(), HubHead(), shapes).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("no adapter_down of this base (BertAdapterModel)"));
}

TEST(ImportHubTest, AFolderWithoutAHeadIsRefused) {
  const Status status =
      ImportMethod({{"adapter_config.json", HubConfig().dump()}}, HubShapes(), TinyBert()).status();

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("head_config.json"));
}

}  // namespace
}  // namespace graft::methods
