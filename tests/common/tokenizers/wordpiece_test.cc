#include "common/tokenizers/components/word_piece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;

class WordPieceTest : public testing::Test {
 protected:
  std::vector<int32_t> Encode(std::string_view text) { return Inner(*tokenizer_, text); }
  /// With one of the normalizer's flags set.
  static std::vector<int32_t> EncodeWith(const char* flag, const Json& value,
                                         std::string_view text) {
    Json json = TinyTokenizer();
    json["normalizer"][flag] = value;
    return Inner(*MustLoad(json), text);
  }
  const std::shared_ptr<const Tokenizer> tokenizer_ = MustLoad();
};

TEST_F(WordPieceTest, TakesTheLongestPieceFirst) {
  EXPECT_EQ(Encode("unaffable"), Ids({"un", "##aff", "##able"}));
  EXPECT_EQ(Encode("affable"), Ids({"affable"}));
  EXPECT_EQ(Encode("running"), Ids({"runn", "##ing"}));
  EXPECT_EQ(Encode("aaa"), Ids({"a", "##a", "##a"}));
}

TEST_F(WordPieceTest, AWordThatDoesntFitIsOneUnknownToken) {
  EXPECT_EQ(Encode("unaffablex"), Ids({"[UNK]"}));
  EXPECT_EQ(Encode("xyz"), Ids({"[UNK]"}));
  EXPECT_EQ(Encode("hello xyz world"), Ids({"hello", "[UNK]", "world"}));
  // Pieces that only continue begin no word.
  EXPECT_EQ(Encode("ing"), Ids({"[UNK]"}));
}

TEST_F(WordPieceTest, AWordOfOverAHundredCharactersIsUnknown) {
  const std::vector<int32_t> hundred = Encode(std::string(100, 'a'));
  EXPECT_EQ(hundred.size(), 100u);
  EXPECT_EQ(hundred[0], Id("a"));
  EXPECT_EQ(hundred[99], Id("##a"));
  EXPECT_EQ(Encode(std::string(101, 'a')), Ids({"[UNK]"}));
  EXPECT_EQ(Encode(std::string(101, 'a') + " a"), Ids({"[UNK]", "a"}));
}

TEST_F(WordPieceTest, TheLimitCountsCharactersAndComesFromTheFile) {
  Json json = TinyTokenizer();
  json["model"]["max_input_chars_per_word"] = 3;
  json["normalizer"]["strip_accents"] = false;
  json["model"]["vocab"]["\u00e9"] = 100;
  json["model"]["vocab"]["##\u00e9"] = 101;
  const auto tokenizer = MustLoad(json);

  EXPECT_THAT(Inner(*tokenizer, "\u00e9\u00e9\u00e9"), ElementsAre(100, 101, 101));
  EXPECT_THAT(Inner(*tokenizer, "\u00e9\u00e9\u00e9\u00e9"), ElementsAre(kUnk));
}

TEST_F(WordPieceTest, ThePrefixComesFromTheFile) {
  Json json = TinyTokenizer();
  json["model"]["continuing_subword_prefix"] = "@";
  json["model"]["vocab"]["@ing"] = 100;

  EXPECT_THAT(Inner(*MustLoad(json), "running"), ElementsAre(Id("runn"), 100));
}

TEST_F(WordPieceTest, PunctuationStandsAlone) {
  EXPECT_EQ(Encode("hello,world!"), Ids({"hello", ",", "world", "!"}));
  EXPECT_EQ(Encode("!!"), Ids({"!", "!"}));
  EXPECT_EQ(Encode("$a$"), Ids({"$", "a", "$"}));  // A symbol for Unicode, punctuation here.
  EXPECT_EQ(Encode("hello\u3002world"), Ids({"hello", "\u3002", "world"}));
}

TEST_F(WordPieceTest, WhiteSpaceSeparatesWhateverItsKind) {
  EXPECT_EQ(Encode("  hello \t\r\n world\n"), Ids({"hello", "world"}));
  EXPECT_EQ(Encode("hello\u00a0world"), Ids({"hello", "world"}));
  EXPECT_EQ(Encode("hello\u3000world"), Ids({"hello", "world"}));
  EXPECT_EQ(Encode("hello\u2028world"), Ids({"hello", "world"}));
}

TEST_F(WordPieceTest, ChineseCharactersStandAlone) {
  EXPECT_EQ(Encode("\u4e2d\u56fd"), Ids({"\u4e2d", "\u56fd"}));
  EXPECT_EQ(Encode("a\u4e2da"), Ids({"a", "\u4e2d", "a"}));
  EXPECT_EQ(EncodeWith("handle_chinese_chars", false, "\u4e2d\u56fd"), Ids({"[UNK]"}));
}

TEST_F(WordPieceTest, LowercasingTakesAccentsAway) {
  EXPECT_EQ(Encode("R\u00e9sum\u00c9"), Ids({"resume"}));
  EXPECT_EQ(Encode("re\u0301sume\u0301"), Ids({"resume"}));
  EXPECT_EQ(Encode("HELLO"), Ids({"hello"}));
  // One character that becomes two, of which one is a mark that goes first.
  EXPECT_EQ(Encode("\u0130"), Ids({"i"}));
}

TEST_F(WordPieceTest, AccentsStayWithoutLowercasingUnlessAskedFor) {
  EXPECT_EQ(EncodeWith("lowercase", false, "Hello r\u00e9sum\u00e9"),
            Ids({"Hello", "r\u00e9sum\u00e9"}));
  EXPECT_EQ(EncodeWith("strip_accents", false, "R\u00e9sum\u00e9"), Ids({"r\u00e9sum\u00e9"}));
  EXPECT_EQ(EncodeWith("strip_accents", true, "r\u00e9sum\u00e9"), Ids({"resume"}));
  EXPECT_EQ(EncodeWith("strip_accents", false, "\u0130"), Ids({"i", "##\u0307"}));
}

TEST_F(WordPieceTest, ControlCharactersVanish) {
  EXPECT_EQ(Encode(std::string("he\0l\x01lo\x7f", 8)), Ids({"hello"}));
  EXPECT_EQ(Encode("he\u200bllo"), Ids({"hello"}));  // A format character, no white space.
  EXPECT_EQ(Encode("\ufeffhello"), Ids({"hello"}));
  EXPECT_EQ(Encode("he\ufffdllo"), Ids({"hello"}));
  EXPECT_EQ(EncodeWith("clean_text", false, "he\u200bllo"), Ids({"[UNK]"}));
}

TEST_F(WordPieceTest, InvalidUtf8ReadsAsTheReplacementCharacter) {
  for (const char* bad : {"\xff", "\xc3", "\xe4\xb8", "\xf0\x9f", "\xed\xa0\x80", "\xc0\x80"}) {
    EXPECT_EQ(Encode("hel" + std::string(bad) + "lo"), Ids({"hello"})) << bad;
    EXPECT_EQ(EncodeWith("clean_text", false, "hello " + std::string(bad))[0], Id("hello"));
  }
}

TEST_F(WordPieceTest, SpecialTokensInTheTextAreTheirIds) {
  EXPECT_EQ(Encode("hello [MASK] world"), Ids({"hello", "[MASK]", "world"}));
  EXPECT_EQ(Encode("hello[MASK]world"), Ids({"hello", "[MASK]", "world"}));
  EXPECT_EQ(Encode("[CLS][SEP][PAD]"), Ids({"[CLS]", "[SEP]", "[PAD]"}));
  // Not lowercased before they are looked for, and only whole.
  EXPECT_EQ(Encode("[mask]"), Ids({"[", "mask", "]"}));
  EXPECT_EQ(Encode("[MASK"), Ids({"[", "mask"}));
  EXPECT_EQ(Encode("[CLS [CLS]"), Ids({"[", "cls", "[CLS]"}));
}

TEST_F(WordPieceTest, AddedTokensKeepTheirFlags) {
  const auto with = [](const Json& flags, std::string_view text) {
    Json json = TinyTokenizer();
    Json token = {{"id", kNext}, {"content", "Zap"}};
    token.update(flags);
    json["added_tokens"].push_back(token);
    return Inner(*MustLoad(json), text);
  };
  EXPECT_THAT(with(Json::object(), "aZapa"), ElementsAre(Id("a"), kNext, Id("a")));
  EXPECT_THAT(with(Json::object(), "azapa"), ElementsAre(kUnk));
  EXPECT_THAT(with({{"normalized", true}}, "azapa"), ElementsAre(Id("a"), kNext, Id("a")));
  EXPECT_THAT(with({{"single_word", true}}, "aZapa"), ElementsAre(kUnk));
  EXPECT_THAT(with({{"single_word", true}}, "a Zap!"), ElementsAre(Id("a"), kNext, Id("!")));
}

TEST_F(WordPieceTest, OfTwoAddedTokensTheLongerWins) {
  Json json = TinyTokenizer();
  json["added_tokens"].push_back({{"id", kNext}, {"content", "Zap"}});
  json["added_tokens"].push_back({{"id", kNext + 1}, {"content", "ZapZap"}});

  EXPECT_THAT(Inner(*MustLoad(json), "ZapZapZap"), ElementsAre(kNext + 1, kNext));
}

TEST_F(WordPieceTest, AnEmptyTextIsOnlySpecialTokens) {
  EXPECT_THAT(tokenizer_->Encode("", {}).ids, ElementsAre(kCls, kSep));
  EXPECT_THAT(tokenizer_->Encode(" \n\u200b", {}).ids, ElementsAre(kCls, kSep));
  const Encoding pair = tokenizer_->EncodePair("", "", {});
  EXPECT_THAT(pair.ids, ElementsAre(kCls, kSep, kSep));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 1));
}

TEST_F(WordPieceTest, APairTellsItsTextsApart) {
  const Encoding pair = tokenizer_->EncodePair("hello", "world !", {});

  EXPECT_EQ(pair.ids, Ids({"[CLS]", "hello", "[SEP]", "world", "!", "[SEP]"}));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST_F(WordPieceTest, TheVocabularysSizeCountsAddedTokens) {
  EXPECT_EQ(tokenizer_->vocab_size(), static_cast<int32_t>(TinyVocabulary().size()));
  Json json = TinyTokenizer();
  json["added_tokens"].push_back({{"id", kNext}, {"content", "Zap"}});
  EXPECT_EQ(MustLoad(json)->vocab_size(), kNext + 1);
}

TEST_F(WordPieceTest, TheFingerprintChangesWithAllThatChangesAnId) {
  const std::vector<std::function<void(Json&)>> edits = {
      [](Json& json) { json["model"]["vocab"]["new"] = 100; },
      [](Json& json) {
        std::swap(json["model"]["vocab"]["hello"], json["model"]["vocab"]["world"]);
      },
      [](Json& json) { json["model"]["unk_token"] = "[MASK]"; },
      [](Json& json) { json["model"]["continuing_subword_prefix"] = "@@"; },
      [](Json& json) { json["model"]["max_input_chars_per_word"] = 99; },
      [](Json& json) { json["normalizer"]["clean_text"] = false; },
      [](Json& json) { json["normalizer"]["handle_chinese_chars"] = false; },
      [](Json& json) { json["normalizer"]["strip_accents"] = false; },
      [](Json& json) { json["normalizer"]["lowercase"] = false; },
      [](Json& json) {
        json["added_tokens"].push_back({{"id", kNext}, {"content", "x"}});
      },
      [](Json& json) { json["added_tokens"][4]["lstrip"] = true; },
      [](Json& json) { json["post_processor"]["single"].erase(2); },
      [](Json& json) { json["post_processor"]["pair"][3]["Sequence"]["type_id"] = 0; }};
  for (size_t i = 0; i < edits.size(); ++i) {
    Json json = TinyTokenizer();
    edits[i](json);
    EXPECT_NE(MustLoad(json)->fingerprint(), tokenizer_->fingerprint()) << i;
  }
}

TEST_F(WordPieceTest, TheFingerprintIsWhatItAlwaysWas) {
  // Versions are named by it.
  EXPECT_EQ(tokenizer_->fingerprint(),
            "193c8feb0fd4be326fd7c0ec7a8ce6f3ea71960ba4c7ef5f2b240591c717b689");
}

TEST_F(WordPieceTest, TheFingerprintIgnoresWhatChangesNoId) {
  Json json = TinyTokenizer();
  json["truncation"] = nullptr;
  json.erase("padding");
  json["version"] = "2";
  json["normalizer"]["strip_accents"] = true;  // What null meant.

  EXPECT_EQ(MustLoad(json)->fingerprint(), tokenizer_->fingerprint());
}

TEST(WordPieceModelTest, ItsVocabularyHoldsTheUnknownToken) {
  EXPECT_EQ(WordPiece({}).status().code(), StatusCode::kInvalidArgument);
  WordPieceOptions options;
  options.vocabulary["a"] = 0;
  EXPECT_EQ(WordPiece(options).status().code(), StatusCode::kInvalidArgument);
  options.vocabulary["[UNK]"] = 1;
  EXPECT_TRUE(WordPiece(options).ok());
}

TEST(WordPieceModelTest, TheLimitOfAWordsLengthIsBounded) {
  Json json = TinyTokenizer();
  json["model"]["max_input_chars_per_word"] = WordPieceOptions::kMaxWordChars;
  EXPECT_TRUE(Load(json).ok());
  for (const uint64_t limit : {uint64_t{WordPieceOptions::kMaxWordChars} + 1, UINT64_MAX}) {
    json["model"]["max_input_chars_per_word"] = limit;
    const Status status = Load(json).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), testing::HasSubstr("tokenizer.json: max_input_chars_per_word"));
  }
}

}  // namespace
}  // namespace graft::tokenizers
