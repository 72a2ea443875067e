/// The stages that are no WordPiece, the way back to text, and comparisons.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(DecodeTest, JoinsPiecesAndCleansUp) {
  Json json = TinyTokenizer();
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  const auto tokenizer = MustLoad(json);
  const std::vector<int32_t> ids = tokenizer->Encode("unaffable, hello world!", {}).ids;
  EXPECT_EQ(tokenizer->Decode(ids, {}), "unaffable, hello world!");
  EXPECT_EQ(tokenizer->Decode(ids, {.special_tokens = true}),
            "[CLS] unaffable, hello world! [SEP]");
  EXPECT_EQ(tokenizer->Decode({-1, 1 << 20, Id("hello")}, {}), "hello");
  EXPECT_EQ(tokenizer->Decode({}, {}), "");
}

TEST(DecodeTest, CleanUpIsTheFiles) {
  Json json = TinyTokenizer();
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", false}};
  EXPECT_EQ(MustLoad(json)->Decode(Ids({"hello", "!"}), {}), "hello !");
  json["decoder"] = nullptr;
  EXPECT_EQ(MustLoad(json)->Decode(Ids({"un", "##able"}), {}), "un ##able");
  json["decoder"] = {{"type", "CTC"}};
  EXPECT_EQ(Load(json).status().code(), StatusCode::kUnimplemented);
  EXPECT_THAT(Load(json).status().message(), HasSubstr("the decoder \"CTC\""));
}

TEST(EncodeTest, SpecialTokensCanBeLeftOut) {
  const auto tokenizer = MustLoad();
  EXPECT_EQ(tokenizer->Encode("hello world !", {.max_length = 2, .special_tokens = false}).ids,
            Ids({"hello", "world"}));
  const Encoding pair = tokenizer->EncodePair("hello", "world", {.special_tokens = false});
  EXPECT_EQ(pair.ids, Ids({"hello", "world"}));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 1));
}

std::vector<int32_t> WithStages(const Json& normalizer, const Json& pre_tokenizer,
                                std::string_view text) {
  Json json = TinyTokenizer();
  if (!normalizer.is_null()) json["normalizer"] = normalizer;
  if (!pre_tokenizer.is_null()) json["pre_tokenizer"] = pre_tokenizer;
  return Inner(*MustLoad(json), text);
}

TEST(StagesTest, NormalizersFollowOneAnother) {
  const Json plain = {
      {"type", "Sequence"},
      {"normalizers", {{{"type", "NFD"}}, {{"type", "Lowercase"}}, {{"type", "StripAccents"}}}}};
  EXPECT_EQ(WithStages(plain, nullptr, "R\u00e9sum\u00c9 Hello"), Ids({"resume", "hello"}));
  const Json none = {{"type", "Sequence"}, {"normalizers", Json::array()}};
  EXPECT_EQ(WithStages(none, nullptr, "Hello hello \xff"), Ids({"Hello", "hello", "[UNK]"}));
  EXPECT_EQ(WithStages({{"type", "Lowercase"}}, nullptr, "HELLO R\u00c9SUM\u00c9"),
            Ids({"hello", "r\u00e9sum\u00e9"}));
  EXPECT_EQ(WithStages({{"type", "StripAccents"}}, nullptr, "r\u00e9sume\u0301"), Ids({"[UNK]"}));
}

TEST(StagesTest, PreTokenizersCutEachInItsWay) {
  EXPECT_EQ(WithStages(nullptr, {{"type", "WhitespaceSplit"}}, "hello world!"),
            Ids({"hello", "[UNK]"}));
  // Runs of other characters stay together; punctuation within them too.
  EXPECT_EQ(WithStages(nullptr, {{"type", "Whitespace"}}, "hello!! !"),
            Ids({"hello", "[UNK]", "!"}));
  EXPECT_EQ(
      WithStages(nullptr,
                 {{"type", "Sequence"},
                  {"pretokenizers", {{{"type", "WhitespaceSplit"}}, {{"type", "Punctuation"}}}}},
                 "hello!! world"),
      Ids({"hello", "!", "!", "world"}));
}

TEST(StagesTest, EachChangesTheFingerprint) {
  const std::string plain = MustLoad()->fingerprint();
  Json json = TinyTokenizer();
  json["pre_tokenizer"] = {{"type", "Whitespace"}};
  EXPECT_NE(MustLoad(json)->fingerprint(), plain);
  json = TinyTokenizer();
  json["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_NE(MustLoad(json)->fingerprint(), plain);
}

TEST(StagesTest, WithoutANormalizerTextsStayAsTheyAre) {
  Json json = TinyTokenizer();
  json["normalizer"] = nullptr;
  EXPECT_EQ(Inner(*MustLoad(json), "Hello hello"), Ids({"Hello", "hello"}));
}

TEST(StagesTest, WithoutAPreTokenizerAllIsOneWord) {
  Json json = TinyTokenizer();
  json["pre_tokenizer"] = nullptr;
  EXPECT_EQ(Inner(*MustLoad(json), "affable"), Ids({"affable"}));
  EXPECT_EQ(Inner(*MustLoad(json), "affable affable"), Ids({"[UNK]"}));
}

TEST(StagesTest, WithoutAPostProcessorNothingStandsAroundTexts) {
  Json json = TinyTokenizer();
  json["post_processor"] = nullptr;
  EXPECT_EQ(MustLoad(json)->Encode("hello", {}).ids, Ids({"hello"}));
  const Encoding pair = MustLoad(json)->EncodePair("hello", "world", {});
  EXPECT_EQ(pair.ids, Ids({"hello", "world"}));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 1));
}

TEST(StagesTest, DeepNestingIsRefused) {
  Json json = TinyTokenizer();
  Json nested = {{"type", "Lowercase"}};
  for (int i = 0; i < 10; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  json["normalizer"] = nested;
  EXPECT_FALSE(Load(json).ok());
}

TEST(AddedTokensTest, StripsTakeAnyWhiteSpaceBesideThem) {
  Json json = TinyTokenizer();
  json["added_tokens"].push_back(
      {{"id", kNext}, {"content", "Zap"}, {"lstrip", true}, {"rstrip", true}});
  json["pre_tokenizer"] = {{"type", "Punctuation"}};
  EXPECT_THAT(Inner(*MustLoad(json), "hello \u3000Zap\u00a0 hello"),
              ElementsAre(Id("hello"), kNext, Id("hello")));
}

TEST(AddedTokensTest, WordCharactersOfAnyScriptCountBesideSingleWords) {
  Json json = TinyTokenizer();
  json["added_tokens"].push_back({{"id", kNext}, {"content", "Zap"}, {"single_word", true}});
  const auto tokenizer = MustLoad(json);
  EXPECT_THAT(Inner(*tokenizer, "\u00e9Zap"), ElementsAre(kUnk));
  EXPECT_THAT(Inner(*tokenizer, "\u3002Zap\u3002"), ElementsAre(Id("\u3002"), kNext, Id("\u3002")));
}

TEST(AddedTokensTest, ThoseThatCantBeToldApartAreRefused) {
  Json json = TinyTokenizer();
  json["added_tokens"].push_back({{"id", kNext}, {"content", "QQ"}, {"normalized", true}});
  json["added_tokens"].push_back({{"id", kNext + 1}, {"content", "qq"}, {"normalized", true}});
  EXPECT_THAT(Load(json).status().message(), HasSubstr("\"QQ\" and \"qq\" are the same"));
  json = TinyTokenizer();
  json["added_tokens"].push_back({{"id", kNext}, {"content", "\u0301"}, {"normalized", true}});
  EXPECT_THAT(Load(json).status().message(), HasSubstr("nothing is left"));
}

TEST(FirstDifferenceTest, NamesATokenOrAText) {
  const auto plain = MustLoad();
  const auto differs = [&](const std::function<void(Json&)>& edit) {
    Json json = TinyTokenizer();
    edit(json);
    return FirstDifference(*plain, *MustLoad(json)).value_or("no difference");
  };
  EXPECT_EQ(differs([](Json& j) {
              std::swap(j["model"]["vocab"]["hello"], j["model"]["vocab"]["world"]);
            }),
            "\"hello\" is 10 in one and 11 in the other");
  EXPECT_EQ(differs([](Json& j) { j["model"]["vocab"]["new"] = 32; }),
            "\"new\" is unknown in one and 32 in the other");
  EXPECT_EQ(differs([](Json& j) { j["normalizer"]["lowercase"] = false; }),
            "\"Hello\" is 10 in one and 25 in the other");
  EXPECT_THAT(differs([](Json& j) { j["post_processor"]["single"].erase(2); }),
              HasSubstr("special tokens"));
  EXPECT_THAT(differs([](Json& j) { j["truncation"]["direction"] = "Left"; }), HasSubstr("left"));
  EXPECT_THAT(differs([](Json& j) { j["added_tokens"][4]["lstrip"] = true; }), HasSubstr("[MASK]"));
}

TEST(FirstDifferenceTest, TheOrderOfAddedTokensIsNone) {
  Json json = TinyTokenizer();
  std::swap(json["added_tokens"][0], json["added_tokens"][4]);
  EXPECT_EQ(FirstDifference(*MustLoad(), *MustLoad(json)), std::nullopt);
}

TEST(OverlaidFilesTest, OnlyWhatAFolderSaysIsItsOwn) {
  const TokenizerFiles base = {
      {"tokenizer.json", TinyTokenizer().dump()},
      {"tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer","do_lower_case":false})"}};
  const auto difference = [&](const TokenizerFiles& own) {
    return FirstDifference(*MustLoadFiles(base), *MustLoadFiles(OverlaidFiles(base, own)));
  };
  EXPECT_EQ(difference({}), std::nullopt);
  EXPECT_EQ(difference({{"tokenizer_config.json", R"({"model_max_length":128})"}}), std::nullopt);
  EXPECT_EQ(difference({{"tokenizer_config.json", R"({"do_lower_case":true})"}}),
            "\"Hello\" is 25 in one and 10 in the other");
  EXPECT_NE(difference({{"added_tokens.json", R"({"qq":32})"}}), std::nullopt);
  std::string vocabulary;
  for (const std::string& token : TinyVocabulary()) vocabulary += token + "\n";
  EXPECT_EQ(difference({{"vocab.txt", vocabulary}}), std::nullopt);
  EXPECT_NE(difference({{"vocab.txt", vocabulary + "new\n"}}), std::nullopt);
  Json own = TinyTokenizer();
  own["normalizer"]["lowercase"] = false;
  EXPECT_EQ(difference({{"tokenizer.json", own.dump()}}), std::nullopt);
}

}  // namespace
}  // namespace graft::tokenizers
