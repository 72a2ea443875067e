/// Which class reads a folder, and where transformers 4 and 5 would differ in what it makes of it.
/// classes_parity.py asks both about such folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/tokenizers/components/split_pattern.h"
#include "tests/common/tokenizers/tiny_bpe.h"

namespace graft::tokenizers {
namespace {

using testing::HasSubstr;

/// tokenizer.json, tokenizer_config.json and the model's type, null for a folder without
/// config.json.
TokenizerFiles Folder(const Json& json, const Json& config, const char* model_type = nullptr) {
  TokenizerFiles files = {{"tokenizer.json", json.dump()}};
  if (!config.is_null()) files["tokenizer_config.json"] = config.dump();
  if (model_type != nullptr) files["config.json"] = Json{{"model_type", model_type}}.dump();
  return files;
}

void ExpectRefused(const TokenizerFiles& files, const std::string& part) {
  const Status status = LoadTokenizer(files).status();
  EXPECT_FALSE(status.ok()) << part;
  EXPECT_THAT(status.message(), HasSubstr(part));
}

/// As Qwen2Tokenizer puts it together.
Json QwenTokenizer() {
  Json json = ByteLevelTokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern", {{"Regex", std::string(RegexOf(SplitPattern::kQwen2))}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  json["added_tokens"][0]["content"] = "<|endoftext|>";
  json["model"]["vocab"]["<|endoftext|>"] = json["added_tokens"][0]["id"];
  json["model"]["vocab"].erase("<|end|>");
  return json;
}

Json Gpt2Tokenizer() {
  Json json = QwenTokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = ByteLevelTokenizer()["pre_tokenizer"];
  return json;
}

const Json kLlama = {{"tokenizer_class", "LlamaTokenizer"}};
const Json kGpt2 = {{"tokenizer_class", "GPT2Tokenizer"}};
const Json kQwen2 = {{"tokenizer_class", "Qwen2TokenizerFast"}};
const Json kGeneric = {{"tokenizer_class", "PreTrainedTokenizerFast"}};

Json With(Json config, const Json& more) {
  config.update(more);
  return config;
}

TEST(ClassesTest, WhatBothVersionsReadAlikeIsRead) {
  const std::vector<TokenizerFiles> folders = {
      Folder(MetaspaceTokenizer("first"), kLlama, "llama"),
      Folder(MetaspaceTokenizer("first"), With(kLlama, {{"legacy", false}}), "llama"),
      Folder(MetaspaceTokenizer("always"), With(kLlama, {{"legacy", true}}), "llama"),
      Folder(MetaspaceTokenizer("first"), kLlama),
      Folder(MarkTokenizer(), kLlama, "mistral"),
      Folder(MarkTokenizer(), kGeneric, "llama"),
      Folder(MarkTokenizer(), {{"tokenizer_class", "TokenizersBackend"}}, "llama"),
      Folder(MarkTokenizer(), Json(), nullptr),
      Folder(MarkTokenizer(), Json::object(), nullptr),
      Folder(MarkTokenizer(), Json(), "llama"),
      Folder(MarkTokenizer(), Json(), "mistral"),
      Folder(Gpt2Tokenizer(), kGpt2, "gpt2"),
      Folder(Gpt2Tokenizer(), Json(), "gpt2"),
      Folder(Gpt2Tokenizer(), kGpt2),
      Folder(QwenTokenizer(), kQwen2, "qwen3"),
      Folder(QwenTokenizer(), kQwen2, "qwen2"),
      Folder(QwenTokenizer(), Json(), "qwen2"),
      Folder(QwenTokenizer(), kGeneric, "qwen3"),
      Folder(QwenTokenizer(), kGeneric, "qwen2")};
  for (size_t i = 0; i < folders.size(); ++i) {
    const auto tokenizer = LoadTokenizer(folders[i]);
    EXPECT_TRUE(tokenizer.ok()) << i << ": " << tokenizer.status();
  }
}

TEST(ClassesTest, WhatTheyReadDifferentlyIsRefused) {
  const auto edited = [](Json json, const std::function<void(Json&)>& edit) {
    edit(json);
    return json;
  };
  Json no_bos = MetaspaceTokenizer("first");
  no_bos["post_processor"] = nullptr;
  Json digits = Gpt2Tokenizer();
  digits["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Digits"}, {"individual_digits", true}}, digits["pre_tokenizer"]}}};
  const std::string file = "tokenizer.json: its ";
  const std::vector<std::pair<TokenizerFiles, std::string>> folders = {
      {Folder(MarkTokenizer(), kLlama, "llama"), file + "normalizer isn't that of LlamaTokenizer"},
      {Folder(MetaspaceTokenizer("first"), With(kLlama, {{"legacy", true}}), "llama"),
       file + "pre-tokenizer isn't that of LlamaTokenizer"},
      {Folder(MetaspaceTokenizer("always"), kLlama, "llama"), file + "pre-tokenizer isn't that of"},
      {Folder(MetaspaceTokenizer("first", true), kLlama, "llama"), file + "pre-tokenizer"},
      {Folder(no_bos, kLlama, "llama"), file + "post-processor isn't that of LlamaTokenizer"},
      {Folder(no_bos, Json(), "llama"), file + "post-processor isn't that of the class of models"},
      {Folder(no_bos, Json(), "mistral"), file + "post-processor"},
      {Folder(MetaspaceTokenizer("first"), With(kLlama, {{"add_eos_token", true}}), "llama"),
       file + "post-processor"},
      {Folder(MetaspaceTokenizer("first"), With(kLlama, {{"add_prefix_space", true}}), "llama"),
       "add_prefix_space makes transformers 4 convert tokenizer.model"},
      {Folder(MetaspaceTokenizer("first"), With(kLlama, {{"bos_token", nullptr}}), "llama"),
       "a null where the class LlamaTokenizer"},
      {Folder(edited(MetaspaceTokenizer("first"), [](Json& j) { j["decoder"] = nullptr; }), kLlama,
              "llama"),
       file + "decoder"},
      {Folder(
           edited(MetaspaceTokenizer("first"), [](Json& j) { j["model"]["ignore_merges"] = true; }),
           kLlama, "llama"),
       file + "model"},
      {Folder(edited(MetaspaceTokenizer("first"),
                     [](Json& j) { j["model"]["byte_fallback"] = false; }),
              kLlama, "llama"),
       file + "model"},
      {Folder(TinyTokenizer(), kGpt2, "gpt2"), file + "model isn't that of GPT2Tokenizer"},
      {Folder(digits, kGpt2, "llama"), file + "pre-tokenizer isn't that of GPT2Tokenizer"},
      {Folder(Gpt2Tokenizer(), kQwen2, "qwen3"), file + "normalizer isn't that of Qwen2Tokenizer"},
      {Folder(Gpt2Tokenizer(), kGeneric, "qwen2"),
       "isn't that of the class of models of this type"},
      {Folder(Gpt2Tokenizer(), With(kGpt2, {{"add_prefix_space", true}}), "gpt2"),
       "add_prefix_space is true by it"},
      {Folder(
           edited(Gpt2Tokenizer(), [](Json& j) { j["pre_tokenizer"]["add_prefix_space"] = true; }),
           kGeneric, "llama"),
       "add_prefix_space is false by it"}};
  for (const auto& [files, part] : folders) ExpectRefused(files, part);
}

TEST(ClassesTest, ClassesThatArentBuiltAreNamed) {
  for (const char* name : {"RobertaTokenizer", "GemmaTokenizerFast", "CodeLlamaTokenizer"}) {
    ExpectRefused(Folder(Gpt2Tokenizer(), {{"tokenizer_class", name}}), name);
  }
  ExpectRefused(Folder(Gpt2Tokenizer(), Json(), "roberta"),
                "config.json: the tokenizer class of models of type \"roberta\" isn't built");
  ExpectRefused(Folder(TinyTokenizer(), {{"tokenizer_class", "BertTokenizer"}}, "mistral"),
                "isn't built for models of this type");
  ExpectRefused(Folder(Gpt2Tokenizer(), {{"tokenizer_class", "BertTokenizer"}}),
                "the model isn't WordPiece");
  ExpectRefused(Folder(Gpt2Tokenizer(), {{"fix_mistral_regex", true}}),
                "the setting fix_mistral_regex true isn't built");
}

TEST(ClassesTest, SettingsOfWrongTypesAreRefused) {
  for (const char* name : {"add_prefix_space", "legacy", "add_bos_token", "add_eos_token"}) {
    ExpectRefused(Folder(MetaspaceTokenizer(), With(kLlama, {{name, "yes"}})), name);
  }
}

TEST(ClassesTest, LlamasSpecialTokensAreItsSettings) {
  Json both = MetaspaceTokenizer("first");
  const Json bos = both["post_processor"]["single"][0];
  const Json text = both["post_processor"]["single"][1];
  const Json eos = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
  both["post_processor"]["special_tokens"]["</s>"] = {
      {"id", "</s>"}, {"ids", {kTinyEos}}, {"tokens", {"</s>"}}};
  const auto typed = [](Json piece) {
    piece.begin()->at("type_id") = 1;
    return piece;
  };
  Json second = typed(text);
  second["Sequence"]["id"] = "B";
  both["post_processor"]["single"] = {bos, text, eos};
  both["post_processor"]["pair"] = {bos, text, eos, typed(bos), second, typed(eos)};
  const auto tokenizer =
      LoadTokenizer(Folder(both, With(kLlama, {{"add_eos_token", true}}), "llama"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->Encode("", {}).ids, (std::vector<int32_t>{kTinyBos, kTinyEos}));
  both["post_processor"] = nullptr;
  EXPECT_TRUE(LoadTokenizer(Folder(both, With(kLlama, {{"add_bos_token", false}}), "llama")).ok());
}

TEST(ClassesTest, ATokenThatOneVersionsClassHasMustBeSpecial) {
  // Version 4's class makes <s> special, 5's generic class for this type of model doesn't.
  Json json = MarkTokenizer();
  json["added_tokens"].erase(1);
  ExpectRefused(Folder(json, kLlama, "mistral"), "it states no bos_token, for which one of");
  EXPECT_TRUE(LoadTokenizer(Folder(json, With(kLlama, {{"bos_token", "<s>"}}), "mistral")).ok());
}

TEST(ClassesTest, SpecialTokensHaveNames) {
  const auto id = [](const TokenizerFiles& files, const char* name) {
    const auto special = MustLoadFiles(files)->Special(name);
    return special ? special->id : -1;
  };
  const TokenizerFiles llama = Folder(MetaspaceTokenizer("first"), kLlama, "llama");
  EXPECT_EQ(id(llama, "bos_token"), kTinyBos);
  EXPECT_EQ(id(llama, "eos_token"), kTinyEos);
  EXPECT_EQ(id(llama, "pad_token"), -1);
  EXPECT_EQ(MustLoadFiles(llama)->Special("eos_token")->content, "</s>");
  const TokenizerFiles stated =
      Folder(MarkTokenizer(), With(kGeneric, {{"eos_token", "</s>"}, {"bos_token", nullptr}}));
  EXPECT_EQ(id(stated, "eos_token"), kTinyEos);
  EXPECT_EQ(id(stated, "bos_token"), -1);
  EXPECT_EQ(id(Folder(MarkTokenizer(), Json()), "eos_token"), -1);
}

}  // namespace
}  // namespace graft::tokenizers
