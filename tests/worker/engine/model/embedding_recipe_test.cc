#include "worker/engine/model/embedding_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/base/json.h"

namespace graft::worker::engine {
namespace {

using ::testing::HasSubstr;

constexpr const char* kMeanPooling = R"({
  "word_embedding_dimension": 384, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,
  "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false})";

class EmbeddingRecipeTest : public ::testing::Test {
 protected:
  EmbeddingRecipeTest() : folder_(std::move(TempFolder::Create()).value()) {}

  void Write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    ASSERT_TRUE(WriteFileDurably(folder_.path() / name, text).ok());
  }
  /// modules.json with one module a type, in folders 0_x, 1_x, ...
  void WriteModules(const std::vector<std::string>& types) {
    Json modules = Json::array();
    for (const std::string& type : types) {
      const std::string index = std::to_string(modules.size());
      modules.push_back(
          {{"idx", modules.size()},
           {"name", index},
           {"path", index == "0" ? "" : index + "_" + type.substr(type.rfind('.') + 1)},
           {"type", type}});
    }
    Write("modules.json", modules.dump());
  }
  StatusOr<EmbeddingRecipe> Read() { return ReadEmbeddingRecipe(folder_.path()); }
  void ExpectUnbuilt(const std::string& part) {
    const Status status = Read().status();
    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << status;
    EXPECT_THAT(status.message(), HasSubstr(part));
  }

  TempFolder folder_;
};

TEST_F(EmbeddingRecipeTest, AFolderThatSaysNothingTakesTheFirstToken) {
  const auto recipe = Read();

  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->pooling, Pooling::kFirst);
  EXPECT_FALSE(recipe->normalize);
}

TEST_F(EmbeddingRecipeTest, TheModulesSayWhatHappensAndWhereThePoolingLies) {
  WriteModules({"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling",
                "sentence_transformers.models.Normalize"});
  Write("1_Pooling/config.json", kMeanPooling);
  const auto normalized = Read();
  // Names as later versions of the library write them.
  WriteModules({"sentence_transformers.base.modules.transformer.Transformer",
                "sentence_transformers.sentence_transformer.modules.pooling.Pooling"});
  Write("1_Pooling/config.json", R"({"embedding_dimension": 384, "pooling_mode": "cls"})");
  const auto plain = Read();

  ASSERT_TRUE(normalized.ok()) << normalized.status();
  EXPECT_EQ(normalized->pooling, Pooling::kMean);
  EXPECT_TRUE(normalized->normalize);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->pooling, Pooling::kFirst);
  EXPECT_FALSE(plain->normalize);
}

TEST_F(EmbeddingRecipeTest, OtherModulesAreNamed) {
  const std::string models = "sentence_transformers.models.";
  Write("1_Pooling/config.json", kMeanPooling);
  WriteModules(
      {models + "Transformer", models + "Pooling", models + "Dense", models + "Normalize"});
  ExpectUnbuilt("Dense");
  WriteModules({models + "Transformer"});
  ExpectUnbuilt("lists Transformer;");
  WriteModules({models + "Transformer", models + "Normalize", models + "Pooling"});
  ExpectUnbuilt("in this order");
  WriteModules({"custom.models.Transformer", models + "Pooling"});
  ExpectUnbuilt("custom.models.Transformer");
  WriteModules({});
  ExpectUnbuilt("lists nothing");
}

TEST_F(EmbeddingRecipeTest, ThePoolingIsExactlyOneOfMeanAndCls) {
  for (const auto& [config, part] :
       {std::pair<const char*, const char*>{
            R"({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true})",
            "max and mean"},
        // The library's own default leaves the mean on.
        {R"({"pooling_mode_cls_token": true})", "mean and cls"},
        {R"({"pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true})", "lasttoken"},
        {R"({"pooling_mode_mean_tokens": false})", "none"},
        {R"({"pooling_mode": "max"})", "max"}}) {
    Write("1_Pooling/config.json", config);
    ExpectUnbuilt(part);
  }
  Write("1_Pooling/config.json",
        R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  EXPECT_EQ(Read()->pooling, Pooling::kFirst);
}

TEST_F(EmbeddingRecipeTest, BrokenFilesAreNamed) {
  Write("1_Pooling/config.json", kMeanPooling);
  for (const char* text : {"{", "{}", "[1]", R"([{"type": 3}])", R"([{"path": ""}])"}) {
    Write("modules.json", text);
    EXPECT_EQ(Read().status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(Read().status().message(), HasSubstr("modules.json")) << text;
  }
}

TEST_F(EmbeddingRecipeTest, TheModelsModuleSaysHowMuchIsRead) {
  WriteModules(
      {"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"});
  Write("1_Pooling/config.json", kMeanPooling);
  EXPECT_EQ(Read()->max_length, 0);
  Write("tokenizer_config.json", R"({"model_max_length": 128})");
  EXPECT_EQ(Read()->max_length, 128);
  Write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(Read()->max_length, 0);
  Write("sentence_bert_config.json", R"({"max_seq_length": 256, "do_lower_case": true})");

  const auto recipe = Read();

  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->max_length, 256);
  EXPECT_TRUE(recipe->lower_case);
  Write("sentence_bert_config.json", R"({"max_seq_length": null, "do_lower_case": false})");
  EXPECT_EQ(Read()->max_length, 0);
  EXPECT_FALSE(Read()->lower_case);
  Write("sentence_bert_config.json", R"({"max_seq_length": "many"})");
  EXPECT_EQ(Read().status().code(), StatusCode::kInvalidArgument);
}

TEST_F(EmbeddingRecipeTest, APromptBeforeEachTextIsNamed) {
  WriteModules(
      {"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"});
  Write("1_Pooling/config.json", kMeanPooling);
  const char* name = "config_sentence_transformers.json";
  for (const char* none : {R"({})", R"({"prompts": {"query": "q: "}, "default_prompt_name": null})",
                           R"({"prompts": {"query": ""}, "default_prompt_name": "query"})"}) {
    Write(name, none);
    EXPECT_TRUE(Read().ok()) << none;
  }
  Write(name, R"({"prompts": {"query": "q: "}, "default_prompt_name": "query"})");
  ExpectUnbuilt("default_prompt_name puts the prompt \"query\" before each text");
}

TEST_F(EmbeddingRecipeTest, OnePoolingInAListIsThatPooling) {
  WriteModules(
      {"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"});
  Write("1_Pooling/config.json", R"({"embedding_dimension": 48, "pooling_mode": ["cls"]})");
  EXPECT_EQ(Read()->pooling, Pooling::kFirst);
  Write("1_Pooling/config.json", R"({"embedding_dimension": 48, "pooling_mode": ["mean", "max"]})");
  ExpectUnbuilt("asks for the pooling mean and max");
  Write("1_Pooling/config.json", R"({"embedding_dimension": 48, "pooling_mode": [1]})");
  ExpectUnbuilt("asks for the pooling 1");
}

TEST_F(EmbeddingRecipeTest, WhatTheTransformersFileSaysIsDoneOrRefused) {
  WriteModules(
      {"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"});
  Write("1_Pooling/config.json", kMeanPooling);
  const std::string name = "sentence_bert_config.json";
  // As version 6 writes it.
  Write(name,
        R"({"transformer_task": "feature-extraction", "module_output_name": "token_embeddings",
      "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
      "processing_kwargs": {}, "unpad_inputs": true, "max_seq_length": 20,
      "model_args": {"trust_remote_code": true}})");
  EXPECT_EQ(Read()->max_length, 20);
  Write(name, R"({"processing_kwargs": {"text": {"max_length": 5}}})");
  ExpectUnbuilt("processing_kwargs is {\"text\":{\"max_length\":5}}, which isn't built");
  Write(name, R"({"max_seq_length": 20, "rotate": true})");
  ExpectUnbuilt("rotate is true, which graft doesn't know");
}

TEST_F(EmbeddingRecipeTest, TheTokenizersLengthMayHaveItsOldName) {
  WriteModules(
      {"sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"});
  Write("1_Pooling/config.json", kMeanPooling);
  Write("tokenizer_config.json", R"({"max_len": 30})");
  EXPECT_EQ(Read()->max_length, 30);
}

}  // namespace
}  // namespace graft::worker::engine
