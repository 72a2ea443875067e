// Which library wrote a folder, and PEFT's folders: nothing that graft doesn't compute is passed
// over.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/utf8.h"
#include "tests/common/methods/support.h"

namespace graft::methods {
namespace {

using families::With;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// As PEFT 0.21 writes it.
Json PeftConfig() {
  return Json::parse(R"({
    "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
    "auto_mapping": null, "base_model_name_or_path": "x", "bias": "none", "corda_config": null,
    "ensure_weight_tying": false, "eva_config": null, "exclude_modules": null,
    "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
    "kasa_config": null, "layer_replication": null, "layers_pattern": null,
    "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 12, "lora_bias": false,
    "lora_dropout": 0.1, "lora_ga_config": null, "megatron_config": null,
    "megatron_core": "megatron.core", "modules_to_save": ["classifier", "score"],
    "monteclora_config": null, "peft_type": "LORA", "peft_version": "0.21.2",
    "qalora_group_size": 16, "r": 4, "rank_pattern": {}, "revision": null,
    "target_modules": ["value", "query"], "target_parameters": null, "task_type": "SEQ_CLS",
    "trainable_token_indices": null, "use_bdlora": null, "use_dora": false, "use_qalora": false,
    "use_rslora": true, "velora_config": null})");
}

/// With the tensors of the method that `fields` make, of two labels.
StatusOr<ImportedMethod> ImportPeft(const Json& config, const families::Layout& layout = TinyBert(),
                                    const Json& fields = {{"rank", 4}}) {
  Shapes shapes;
  for (const TensorSpec& tensor :
       Resolved("lora", fields, layout)->Tensors(layout, tasks::Labels(2)))
    shapes[tensor.key] = tensor.shape;
  return ImportMethod({{"adapter_config.json", config.dump()}}, shapes, layout);
}

TEST(ImportMethodTest, AFolderWithoutAConfigIsNotFound) {
  EXPECT_EQ(ImportMethod({}, {}, TinyBert()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ImportMethod({{"config.json", "{}"}}, {}, TinyBert()).status().code(),
            StatusCode::kNotFound);
}

TEST(ImportMethodTest, AConfigOfNeitherLibraryIsRefused) {
  for (const char* text : {"", "{", "[]", "3", "null", "{}", "{\"r\":8}"}) {
    EXPECT_EQ(ImportMethod({{"adapter_config.json", text}}, {}, TinyBert()).status().code(),
              StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(ImportMethodTest, OtherPeftTypesAreNotBuilt) {
  for (const Json& type : {Json("IA3"), Json("lora"), Json(nullptr), Json(3),
                           Json(std::string(38, 'x') + "\xC3\xA9" + std::string(9999, 'y'))}) {
    const Status status = ImportPeft(With(PeftConfig(), "peft_type", type)).status();

    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << type;
    EXPECT_LT(status.message().size(), 300u);
    EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
  }
}

TEST(ImportPeftTest, FieldsAreTaken) {
  const auto imported = ImportPeft(PeftConfig());

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson(), Json({{"rank", 4},
                                              {"alpha", 12.0},
                                              {"dropout", 0.1},
                                              {"rslora", true},
                                              {"target_modules", {"query", "value"}}}));
  EXPECT_EQ(imported->declared_base, "x");
  EXPECT_THAT(imported->task.label_names, IsEmpty());
}

TEST(ImportPeftTest, AbsentFieldsArePeftsDefaults) {
  const auto imported = ImportPeft({{"peft_type", "LORA"}, {"modules_to_save", {"classifier"}}},
                                   TinyBert(), {{"rank", 8}});

  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->method->ToJson(), Json({{"rank", 8},
                                              {"alpha", 8.0},
                                              {"dropout", 0.0},
                                              {"rslora", false},
                                              {"target_modules", {"query", "value"}}}));
}

TEST(ImportPeftTest, WhatGraftWritesItReads) {
  for (const families::Layout& layout : {TinyBert(), TinyDistilBert()}) {
    const Method method = Resolved("lora", {{"rank", 3}, {"alpha", 2.5}}, layout);

    const auto files = method->ConfigFiles(layout, {"b", "a", tasks::Classification({"x"})});
    const auto imported =
        ImportPeft(Json::parse(files.at("adapter_config.json")), layout, {{"rank", 3}});

    ASSERT_TRUE(imported.ok()) << imported.status();
    EXPECT_EQ(imported->method->ToJson(), method->ToJson());
  }
}

TEST(ImportPeftTest, AFieldThatChangesNothingIsTaken) {
  for (const auto& [field, value] : {std::pair<const char*, Json>{"fan_in_fan_out", true},
                                     {"trainable_token_indices", Json::object()},
                                     {"trainable_token_indices", Json::array()}}) {
    const auto imported = ImportPeft(With(PeftConfig(), field, value));

    ASSERT_TRUE(imported.ok()) << field << ": " << imported.status();
    EXPECT_EQ(imported->method->ToJson(), ImportPeft(PeftConfig())->method->ToJson()) << field;
  }
}

TEST(ImportPeftTest, AFieldThatChangesTheAdapterIsRefused) {
  for (const auto& [field, value] :
       {std::pair<const char*, Json>{"alora_invocation_tokens", {1, 2}},
        {"arrow_config", Json::object()},
        {"bias", nullptr},
        {"corda_config", Json::object()},
        {"exclude_modules", {"query"}},
        {"init_lora_weights", "pissa"},
        {"init_lora_weights", "olora"},
        {"init_lora_weights", "loftq"},
        {"init_lora_weights", "corda"},
        {"kasa_config", Json::object()},
        {"layer_replication", Json::array({Json::array({0, 4})})},
        {"layers_to_transform", {0}},
        {"loftq_config", {{"loftq_bits", 4}}},
        {"lora_bias", true},
        {"lora_ga_config", Json::object()},
        {"megatron_config", Json::object()},
        {"monteclora_config", Json::object()},
        {"target_parameters", {"x"}},
        {"trainable_token_indices", {1}},
        {"use_bdlora", true},
        {"use_dora", true},
        {"use_qalora", true},
        {"velora_config", Json::object()},
        {"task_type", "CAUSAL_LM"},
        {"target_modules", ".*query"},
        {"target_modules", {"q_proj"}},
        {"target_modules", {"dense"}},
        {"target_modules", Json::object()},
        {"r", 0},
        {"r", "4x"},
        {"lora_alpha", 0},
        {"lora_alpha", nullptr},
        {"lora_dropout", 1},
        {"use_rslora", "yes"},
        {"alpha_pattern", {{"query", 0}}},
        {"alpha_pattern", 3},
        {"rank_pattern", {{"query", "x"}}},
        {"modules_to_save", {"encoder"}},
        {"modules_to_save", "classifier"}}) {
    const Status status = ImportPeft(With(PeftConfig(), field, value)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field << " " << value;
    EXPECT_THAT(status.message(), Not(HasSubstr("method."))) << value;
  }
}

TEST(ImportPeftTest, TheRefusalNamesTheField) {
  const Status status = ImportPeft(With(PeftConfig(), "use_dora", true)).status();
  const Status renamed = ImportPeft(With(PeftConfig(), "lora_alpha", 0)).status();

  EXPECT_THAT(status.message(), HasSubstr("adapter_config.json: use_dora is true"));
  EXPECT_EQ(renamed.message(), "adapter_config.json: lora_alpha must be a number in (0, 1000000]");
}

TEST(ImportPeftTest, AFieldThatNobodyKnowsIsRefusedUnlessItIsOff) {
  for (const Json& on : {Json(true), Json(1), Json("x"), Json({1}), Json{{"a", 1}}}) {
    const Status status = ImportPeft(With(PeftConfig(), "use_newlora", on)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << on;
    EXPECT_THAT(status.message(), HasSubstr("use_newlora")) << on;
  }
  for (const Json& off : {Json(nullptr), Json(false), Json::array(), Json::object()}) {
    EXPECT_TRUE(ImportPeft(With(PeftConfig(), "use_newlora", off)).ok()) << off;
  }
}

TEST(ImportPeftTest, AnAbsurdValueIsCutBetweenCharacters) {
  const Json value = std::string(78, 'x') + "\xC3\xA9" + std::string(99999, 'y');
  for (const char* field : {"bias", "task_type", "use_newlora"}) {
    const Status status = ImportPeft(With(PeftConfig(), field, value)).status();

    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
    EXPECT_LT(status.message().size(), 400u) << field;
    EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace graft::methods
