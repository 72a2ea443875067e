#pragma once
/// A tokenizer.json of a few tokens.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

inline constexpr int32_t kUnk = 1, kCls = 2, kSep = 3, kMask = 4;

/// The tokens' ids are their places.
inline std::vector<std::string> TinyVocabulary() {
  return {"[PAD]",    "[UNK]",  "[CLS]",  "[SEP]",    "[MASK]",
          "un",       "##aff",  "##able", "runn",     "##ing",
          "hello",    "world",  ",",      "!",        "$",
          "\u4e2d",   "\u56fd", "resume", "a",        "##a",
          "affable",  "\u3002", "ss",     "##\u0301", "r\u00e9sum\u00e9",
          "Hello",    "mask",   "[",      "]",        "i",
          "##\u0307", "cls"};
}

/// The next id that is free.
inline constexpr int32_t kNext = 32;

/// The id of a token of the tiny vocabulary, -1 if there is none.
inline int32_t Id(const std::string& token) {
  const auto vocabulary = TinyVocabulary();
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    if (vocabulary[i] == token) return static_cast<int32_t>(i);
  }
  ADD_FAILURE() << "no token " << token;
  return -1;
}

inline Json TinyTokenizer() {
  Json vocab = Json::object();
  for (const std::string& token : TinyVocabulary()) vocab[token] = vocab.size();
  Json added = Json::array();
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    added.push_back({{"id", vocab[token]},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto special = [](const char* token, int type) {
    return Json{{"SpecialToken", {{"id", token}, {"type_id", type}}}};
  };
  const auto text = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  return {{"version", "1.0"},
          {"truncation", {{"max_length", 3}, {"strategy", "LongestFirst"}, {"stride", 0}}},
          {"padding", {{"strategy", {{"Fixed", 9}}}, {"pad_id", 0}}},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"strip_accents", nullptr},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {special("[CLS]", 0), text("A", 0), special("[SEP]", 0)}},
            {"pair",
             {special("[CLS]", 0), text("A", 0), special("[SEP]", 0), text("B", 1),
              special("[SEP]", 1)}},
            {"special_tokens",
             {{"[CLS]", {{"id", "[CLS]"}, {"ids", {kCls}}, {"tokens", {"[CLS]"}}}},
              {"[SEP]", {{"id", "[SEP]"}, {"ids", {kSep}}, {"tokens", {"[SEP]"}}}}}}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", vocab}}}};
}

/// A folder with these files, read.
inline StatusOr<std::shared_ptr<const Tokenizer>> LoadFiles(
    const std::vector<std::pair<std::string, std::string>>& files) {
  GRAFT_ASSIGN_OR_RETURN(const TempFolder folder, TempFolder::Create("graft-tokenizer"));
  for (const auto& [name, text] : files) {
    GRAFT_RETURN_IF_ERROR(WriteFileDurably(folder.path() / name, text));
  }
  return LoadTokenizer(folder.path());
}

inline std::shared_ptr<const Tokenizer> MustLoadFiles(const TokenizerFiles& files) {
  const auto tokenizer = LoadTokenizer(files);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

inline StatusOr<std::shared_ptr<const Tokenizer>> Load(const Json& json) {
  return LoadFiles({{"tokenizer.json", json.dump()}});
}

inline std::shared_ptr<const Tokenizer> MustLoad(const Json& json = TinyTokenizer()) {
  const auto tokenizer = Load(json);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

/// The ids of a text without [CLS] and [SEP].
inline std::vector<int32_t> Inner(const Tokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.Encode(text, {.max_length = 4096});
  EXPECT_GE(encoding.ids.size(), 2u);
  EXPECT_EQ(encoding.ids.front(), kCls);
  EXPECT_EQ(encoding.ids.back(), kSep);
  EXPECT_EQ(encoding.type_ids, std::vector<int32_t>(encoding.ids.size(), 0));
  return {encoding.ids.begin() + 1, encoding.ids.end() - 1};
}

/// The ids of these tokens.
inline std::vector<int32_t> Ids(const std::vector<std::string>& tokens) {
  std::vector<int32_t> ids;
  for (const std::string& token : tokens) ids.push_back(Id(token));
  return ids;
}

}  // namespace graft::tokenizers
