/// What the files beside tokenizer.json and vocab.txt say, one statement at a time. The ids are
/// those of transformers 4.57 and 5.23 (tests/integration/foreign_bases.py asks them).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string VocabTxt() {
  std::string text;
  for (const std::string& token : TinyVocabulary()) text += token + "\n";
  return text;
}

Json Listed(const std::string& content, const Json& flags = Json::object()) {
  Json token = {{"content", content}, {"single_word", false}, {"lstrip", false},
                {"rstrip", false},    {"normalized", true},   {"special", false}};
  token.update(flags);
  return token;
}

/// Both forms of a folder say the same in most respects: each statement is tried with both.
class StatementsTest : public testing::TestWithParam<bool> {
 protected:
  static TokenizerFiles Files(const Json& config) {
    TokenizerFiles files = {{"config.json", R"({"model_type":"bert"})"}};
    if (GetParam()) files["tokenizer.json"] = TinyTokenizer().dump();
    if (!GetParam()) files["vocab.txt"] = VocabTxt();
    if (!config.is_null()) files["tokenizer_config.json"] = config.dump();
    return files;
  }
  static std::vector<int32_t> Ids(const TokenizerFiles& files, std::string_view text) {
    return Inner(*MustLoadFiles(files), text);
  }
  static void ExpectRefused(const TokenizerFiles& files, const std::string& file,
                            const std::string& part) {
    const Status status = LoadTokenizer(files).status();
    EXPECT_FALSE(status.ok()) << part;
    EXPECT_THAT(status.message(), testing::AllOf(HasSubstr(file), HasSubstr(part)));
  }
};

INSTANTIATE_TEST_SUITE_P(Form, StatementsTest, testing::Bool(), [](const auto& form) {
  return form.param ? "TokenizerJson" : "VocabTxt";
});

TEST_P(StatementsTest, LetterCaseIsTheConfigsWhateverTokenizerJsonSays) {
  EXPECT_THAT(Ids(Files({{"do_lower_case", false}}), "Hello hello"),
              ElementsAre(Id("Hello"), Id("hello")));
  EXPECT_THAT(Ids(Files({{"do_lower_case", true}}), "Hello"), ElementsAre(Id("hello")));
  // BERT's class makes letters small where no one says anything.
  EXPECT_THAT(Ids(Files(nullptr), "Hello"), ElementsAre(Id("hello")));
}

TEST_P(StatementsTest, AccentsFollowLetterCaseUnlessStated) {
  EXPECT_THAT(Ids(Files({{"strip_accents", false}}), "R\u00e9sum\u00e9"),
              ElementsAre(Id("r\u00e9sum\u00e9")));
  EXPECT_THAT(Ids(Files({{"strip_accents", nullptr}}), "r\u00e9sum\u00e9"),
              ElementsAre(Id("resume")));
  EXPECT_THAT(Ids(Files({{"do_lower_case", false}, {"strip_accents", true}}), "r\u00e9sum\u00e9"),
              ElementsAre(Id("resume")));
}

TEST_P(StatementsTest, ChineseCharactersFollowTheConfig) {
  EXPECT_THAT(Ids(Files({{"tokenize_chinese_chars", false}}), "\u4e2d\u56fd"), ElementsAre(kUnk));
}

TEST_P(StatementsTest, AFlagThatIsNoFlagIsRefused) {
  for (const char* name : {"do_lower_case", "tokenize_chinese_chars", "split_special_tokens"}) {
    for (const Json& value : {Json("yes"), Json(0), Json(nullptr)}) {
      ExpectRefused(Files({{name, value}}), "tokenizer_config.json", name);
    }
  }
  ExpectRefused(Files({{"strip_accents", 1}}), "tokenizer_config.json", "strip_accents");
  ExpectRefused(Files({{"truncation_side", "middle"}}), "tokenizer_config.json", "truncation_side");
}

TEST_P(StatementsTest, WhatBothVersionsPassOverChangesNothing) {
  const auto plain = MustLoadFiles(Files(nullptr))->fingerprint();
  const Json config = {{"never_split", {"hello"}},  {"do_basic_tokenize", false},
                       {"wordpieces_prefix", "@@"}, {"clean_text", false},
                       {"model_max_length", 6},     {"padding_side", "left"},
                       {"max_length", 5},           {"use_fast", false}};
  EXPECT_EQ(MustLoadFiles(Files(config))->fingerprint(), plain);
}

TEST_P(StatementsTest, AddedTokensJsonAddsTokens) {
  TokenizerFiles files = Files(nullptr);
  files["added_tokens.json"] = Json{{"qq", kNext}, {"zz", kNext + 1}}.dump();
  EXPECT_THAT(Ids(files, "a qq ZZ"), ElementsAre(Id("a"), kNext, kNext + 1));

  // It counts only where the config lists no tokens itself.
  files["tokenizer_config.json"] = Json{{"added_tokens_decoder", Json::object()}}.dump();
  EXPECT_THAT(Ids(files, "qq"), ElementsAre(kUnk));
}

TEST_P(StatementsTest, TheConfigsListAddsTokensWithTheirFlags) {
  const Json list = {{"32", Listed("Qq", {{"normalized", false}})},
                     {"33", Listed("zz", {{"single_word", true}})}};
  const TokenizerFiles files =
      Files({{"added_tokens_decoder", [&] {
                Json all = list;
                for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
                  all[std::to_string(Id(token))] =
                      Listed(token, {{"special", true}, {"normalized", false}});
                }
                return all;
              }()}});
  EXPECT_THAT(Ids(files, "aQq Qq a zz"), ElementsAre(Id("a"), 32, 32, Id("a"), 33));
  EXPECT_THAT(Ids(files, "qq"), ElementsAre(kUnk));
  EXPECT_THAT(Ids(files, "azz"), ElementsAre(kUnk));
}

TEST_P(StatementsTest, NewTokensAreNumberedWithoutGapsWhateverTheFileSays) {
  TokenizerFiles files = Files(nullptr);
  files["added_tokens.json"] = Json{{"qq", kNext + 5}, {"zz", kNext + 2}}.dump();
  EXPECT_THAT(Ids(files, "zz qq"), ElementsAre(kNext, kNext + 1));
}

TEST_P(StatementsTest, AnIdThatContradictsTheVocabularyIsRefused) {
  TokenizerFiles files = Files(nullptr);
  files["added_tokens.json"] = Json{{"hello", 33}}.dump();
  ExpectRefused(files, "added_tokens.json", "\"hello\" has the id 33, but the vocabulary says 10");
  files["added_tokens.json"] = Json{{"qq", 10}}.dump();
  ExpectRefused(files, "added_tokens.json", "\"qq\" has the id 10, as \"hello\" has");
}

TEST_P(StatementsTest, MalformedListsAreRefused) {
  for (const Json& decoder :
       {Json(nullptr), Json::array(), Json{{"x", Listed("qq")}}, Json{{"32", 7}},
        Json{{"32", {{"content", 7}}}}, Json{{"99999999999999999999", Listed("qq")}}}) {
    ExpectRefused(Files({{"added_tokens_decoder", decoder}}), "tokenizer_config.json", "");
  }
  for (const char* text : {"[]", "{", "{\"qq\":-1}", "{\"qq\":\"32\"}"}) {
    TokenizerFiles files = Files(nullptr);
    files["added_tokens.json"] = text;
    ExpectRefused(files, "added_tokens.json", "");
  }
  for (const char* text : {"[]", "{", "{\"mask_token\":7}", "{\"additional_special_tokens\":\"x\"}",
                           "{\"additional_special_tokens\":[7]}"}) {
    TokenizerFiles files = Files(nullptr);
    files["special_tokens_map.json"] = text;
    ExpectRefused(files, "special_tokens_map.json", "");
  }
}

TEST_P(StatementsTest, SpecialTokensThatNoFileListsAreAddedInTheirOrder) {
  EXPECT_THAT(Ids(Files({{"additional_special_tokens", {"<e1>", "<e2>"}}}), "<e2> <e1>"),
              ElementsAre(kNext + 1, kNext));
  EXPECT_THAT(Ids(Files({{"extra_special_tokens", {"<e1>"}}}), "<e1>"), ElementsAre(kNext));
  EXPECT_THAT(Ids(Files({{"bos_token", "<b>"}, {"mask_token", "<m>"}}), "<m> <b>"),
              ElementsAre(kNext + 1, kNext));
  TokenizerFiles files = Files(nullptr);
  files["special_tokens_map.json"] = Json{{"additional_special_tokens", {"<e1>"}}}.dump();
  EXPECT_THAT(Ids(files, "<e1>"), ElementsAre(kNext));
  // The config's list counts alone.
  EXPECT_THAT(Ids(Files({{"added_tokens_decoder",
                          {{"32", Listed("<e1>", {{"special", true}, {"normalized", false}})}}},
                         {"additional_special_tokens", {"<e1>"}}}),
                  "<e1>"),
              ElementsAre(kNext));
}

TEST_P(StatementsTest, WhatTheVersionsReadDifferentlyIsRefused) {
  ExpectRefused(Files({{"foo_token", "<foo>"}}), "tokenizer_config.json", "foo_token");
  EXPECT_TRUE(LoadTokenizer(Files({{"foo_token", "[MASK]"}})).ok());
  TokenizerFiles files = Files({{"additional_special_tokens", {"<e1>"}}});
  files["special_tokens_map.json"] = Json{{"additional_special_tokens", {"<e2>"}}}.dump();
  ExpectRefused(files, "special_tokens_map.json", "<e2>");
  ExpectRefused(Files({{"cls_token", nullptr}}), "tokenizer_config.json", "cls_token");
  ExpectRefused(Files({{"fast_tokenizer_files", {"tokenizer.json", "tokenizer.4.json"}}}),
                "tokenizer_config.json", "fast_tokenizer_files");
}

TEST_P(StatementsTest, TheClassDecides) {
  for (const char* name : {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizerFast",
                           "ElectraTokenizer", "MobileBertTokenizerFast"}) {
    EXPECT_THAT(Ids(Files({{"tokenizer_class", name}, {"do_lower_case", false}}), "Hello"),
                ElementsAre(Id("Hello")))
        << name;
  }
  for (const char* name : {"RobertaTokenizer", "BertJapaneseTokenizer", "NoSuchTokenizer"}) {
    ExpectRefused(Files({{"tokenizer_class", name}}), "tokenizer_config.json", name);
    TokenizerFiles files = Files(nullptr);
    files["config.json"] = Json{{"tokenizer_class", name}}.dump();
    ExpectRefused(files, "config.json", name);
  }
}

TEST_P(StatementsTest, PairsHaveTypesIfTheModelIsGivenThem) {
  const auto types = [](const Json& config) {
    return MustLoadFiles(Files(config))->EncodePair("hello", "world", {}).type_ids;
  };
  const Json without = {"input_ids", "attention_mask"};
  EXPECT_THAT(types(nullptr), ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(types({{"tokenizer_class", "BertTokenizer"}}), ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(types({{"tokenizer_class", "DistilBertTokenizer"}}), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(types({{"model_input_names", without}}), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(types({{"tokenizer_class", "DistilBertTokenizer"},
                     {"model_input_names", {"input_ids", "token_type_ids", "attention_mask"}}}),
              ElementsAre(0, 0, 0, 1, 1));
  ExpectRefused(Files({{"model_input_names", "input_ids"}}), "tokenizer_config.json",
                "model_input_names must be a list");
  EXPECT_NE(MustLoadFiles(Files({{"model_input_names", without}}))->fingerprint(),
            MustLoadFiles(Files(nullptr))->fingerprint());
}

TEST_P(StatementsTest, TextsAreCutOnTheSideThatTheConfigSays) {
  const auto tokenizer = MustLoadFiles(Files({{"truncation_side", "left"}}));
  const Encoding cut = tokenizer->Encode("hello world ! , a", {.max_length = 5});
  EXPECT_EQ(cut.ids, graft::tokenizers::Ids({"[CLS]", "!", ",", "a", "[SEP]"}));
  EXPECT_TRUE(cut.truncated);
  const Encoding pair = tokenizer->EncodePair("hello world", "! , a", {.max_length = 6});
  EXPECT_EQ(pair.ids, graft::tokenizers::Ids({"[CLS]", "world", "[SEP]", ",", "a", "[SEP]"}));
  EXPECT_NE(tokenizer->fingerprint(), MustLoadFiles(Files(nullptr))->fingerprint());
  EXPECT_EQ(MustLoadFiles(Files({{"truncation_side", "right"}}))->fingerprint(),
            MustLoadFiles(Files(nullptr))->fingerprint());
}

TEST_P(StatementsTest, SpecialTokensInATextCanBeTextLikeAnyOther) {
  EXPECT_EQ(Ids(Files({{"split_special_tokens", true}}), "[CLS]"),
            graft::tokenizers::Ids({"[", "cls", "]"}));
}

TEST(VocabTxtStatementsTest, SpecialTokensAreTheConfigs) {
  TokenizerFiles files = {
      {"vocab.txt", VocabTxt()},
      {"tokenizer_config.json", Json{{"unk_token", "[MASK]"}, {"cls_token", "hello"}}.dump()}};
  const auto tokenizer = MustLoadFiles(files);
  EXPECT_THAT(tokenizer->Encode("xyz", {}).ids, ElementsAre(Id("hello"), kMask, kSep));
}

/// tokenizer.json and a config of BERT's class.
Status LoadBeside(const std::function<void(Json&)>& edit, const Json& config) {
  Json json = TinyTokenizer();
  edit(json);
  return LoadTokenizer(TokenizerFiles{{"tokenizer.json", json.dump()},
                                      {"tokenizer_config.json", config.dump()}})
      .status();
}

TEST(TokenizerJsonStatementsTest, WhatOnlyVersion4HeedsIsRefusedInBertsClass) {
  const std::vector<std::pair<std::function<void(Json&)>, std::string>> edits = {
      {[](Json& j) { j["normalizer"]["clean_text"] = false; }, "clean_text"},
      {[](Json& j) {
         j["normalizer"] = {{"type", "Lowercase"}};
       },
       "the normalizer"},
      {[](Json& j) {
         j["pre_tokenizer"] = {{"type", "Whitespace"}};
       },
       "pre_tokenizer"},
      {[](Json& j) { j["model"]["continuing_subword_prefix"] = "@"; }, "prefix"},
      {[](Json& j) { j["model"]["max_input_chars_per_word"] = 50'000; }, "max_input_chars"},
      {[](Json& j) { j["model"]["unk_token"] = "[MASK]"; }, "unk_token"},
      {[](Json& j) { j["post_processor"]["single"].erase(2); }, "post_processor"}};
  for (const auto& [edit, part] : edits) {
    const Status status = LoadBeside(edit, {{"tokenizer_class", "BertTokenizer"}});
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
    EXPECT_THAT(status.message(), testing::AllOf(HasSubstr("tokenizer.json"), HasSubstr(part)));
    // Without BERT's class the file is the statement.
    EXPECT_TRUE(LoadBeside(edit, {{"tokenizer_class", "PreTrainedTokenizerFast"}}).ok()) << part;
  }
  for (const Json& config : {Json{{"cls_token", "[MASK]"}}, Json{{"unk_token", "[MASK]"}}}) {
    EXPECT_FALSE(LoadBeside([](Json&) {}, config).ok()) << config;
  }
}

TEST(TokenizerJsonStatementsTest, ATokenThatTheConfigsListLacksIsRefused) {
  const auto add = [](Json& json) {
    Json token = Listed("qq");
    token["id"] = kNext;
    json["added_tokens"].push_back(token);
  };
  const Status status = LoadBeside(add, {{"added_tokens_decoder", Json::object()}});
  EXPECT_THAT(status.message(), HasSubstr("added_tokens_decoder lacks \"qq\""));
  EXPECT_TRUE(LoadBeside(add, {{"added_tokens_decoder", {{"32", Listed("qq")}}}}).ok());
}

TEST(TokenizerJsonStatementsTest, AddedTokensOutOfOrderAreRefusedWhereVersionsDiffer) {
  const auto add = [](Json& json) {
    for (const auto& [content, id] : {std::pair{"zz", kNext + 1}, {"qq", kNext}}) {
      Json token = Listed(content);
      token["id"] = id;
      json["added_tokens"].push_back(token);
    }
  };
  EXPECT_THAT(LoadBeside(add, Json::object()).message(), HasSubstr("\"qq\" has the id 32"));
  Json json = TinyTokenizer();
  add(json);
  EXPECT_THAT(Inner(*MustLoad(json), "zz qq"), ElementsAre(kNext, kNext + 1));
}

TEST(TokenizerJsonStatementsTest, ATokenThatAnOverruledNormalizerChangesIsRefused) {
  const auto add = [](Json& json) {
    Json token = Listed("QQ");
    token["id"] = kNext;
    json["added_tokens"].push_back(token);
  };
  EXPECT_THAT(LoadBeside(add, {{"do_lower_case", false}}).message(),
              HasSubstr("the added token \"QQ\" reads otherwise"));
  EXPECT_TRUE(LoadBeside(add, {{"do_lower_case", true}}).ok());
}

TEST(TokenizerJsonStatementsTest, TheGenericClassGivesTypesIfItIsAsked) {
  const auto types = [](Json config) {
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    const auto tokenizer = MustLoadFiles(
        {{"tokenizer.json", TinyTokenizer().dump()}, {"tokenizer_config.json", config.dump()}});
    return tokenizer->EncodePair("hello", "world", {}).type_ids;
  };
  EXPECT_THAT(types(Json::object()), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(types({{"model_input_names", {"input_ids", "token_type_ids"}}}),
              ElementsAre(0, 0, 0, 1, 1));
}

TEST(TokenizerJsonStatementsTest, TheGenericClassHeedsTheFileAlone) {
  Json json = TinyTokenizer();
  json["normalizer"]["lowercase"] = false;
  const auto tokenizer = MustLoadFiles(
      {{"tokenizer.json", json.dump()},
       {"tokenizer_config.json",
        Json{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"do_lower_case", true}}.dump()}});
  EXPECT_THAT(Inner(*tokenizer, "Hello"), ElementsAre(Id("Hello")));
  EXPECT_FALSE(LoadTokenizer(TokenizerFiles{{"vocab.txt", VocabTxt()},
                                            {"tokenizer_config.json",
                                             R"({"tokenizer_class":"PreTrainedTokenizerFast"})"}})
                   .ok());
}

TEST(TokenizerJsonStatementsTest, TheSideOfItsTruncationCounts) {
  Json json = TinyTokenizer();
  json["truncation"]["direction"] = "Left";
  const auto tokenizer = MustLoad(json);
  EXPECT_EQ(tokenizer->Encode("hello world ! ,", {.max_length = 4}).ids,
            Ids({"[CLS]", "!", ",", "[SEP]"}));
}

}  // namespace
}  // namespace graft::tokenizers
