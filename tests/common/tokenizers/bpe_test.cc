/// Byte pair encoding: what texts become, in both forms. parity_bpe.py compares the vocabularies of
/// real models with the reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "common/tokenizers/unicode/unicode.h"
#include "tests/common/tokenizers/tiny_bpe.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;

const TinyMerges kBytes = ByteLevelMerges();
const TinyMerges kMarks = MarkMerges();

TEST(ByteLevelTest, JoinsByRankAndKeepsTheSpaceWithTheWord) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  EXPECT_EQ(Plain(*tokenizer, "hello world"), kBytes.Ids({"hello", "\u0120wor", "l", "d"}));
  EXPECT_EQ(Plain(*tokenizer, "hell he"), kBytes.Ids({"hell", "\u0120", "he"}));
  EXPECT_EQ(Plain(*tokenizer, "\u00e9"), kBytes.Ids({"\u00c3\u00a9"}));
  EXPECT_THAT(Plain(*tokenizer, "\u4e2d"), ElementsAre(0xE4, 0xB8, 0xAD));
  EXPECT_THAT(Plain(*tokenizer, ""), ElementsAre());
}

TEST(ByteLevelTest, InvalidUtf8ReadsAsTheReplacementCharacter) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  EXPECT_THAT(Plain(*tokenizer, "\xff"), ElementsAre(0xEF, 0xBF, 0xBD));
}

TEST(ByteLevelTest, ASpaceIsPutInFrontIfItIsAsked) {
  Json json = ByteLevelTokenizer();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  const auto tokenizer = MustLoad(json);
  EXPECT_EQ(Plain(*tokenizer, "wor"), kBytes.Ids({"\u0120wor"}));
  EXPECT_EQ(Plain(*tokenizer, " wor"), kBytes.Ids({"\u0120wor"}));
  // Each piece between added tokens is a text of its own to it.
  EXPECT_EQ(Plain(*tokenizer, "wor<|end|>wor"), kBytes.Ids({"\u0120wor", "<|end|>", "\u0120wor"}));
}

TEST(ByteLevelTest, WithoutItsPatternAllIsOneWord) {
  Json json = ByteLevelTokenizer();
  json["model"]["vocab"]["w\u0120"] = 300;
  json["model"]["merges"].push_back({"w", "\u0120"});
  EXPECT_EQ(Plain(*MustLoad(json), "w o"), kBytes.Ids({"w", "\u0120", "o"}));
  json["pre_tokenizer"]["use_regex"] = false;
  EXPECT_THAT(Plain(*MustLoad(json), "w o"), ElementsAre(300, 'o'));
}

TEST(ByteLevelTest, DigitsCanStandAlone) {
  const Json byte_level = ByteLevelTokenizer()["pre_tokenizer"];
  const auto with_digits = [&](bool individual) {
    Json json = ByteLevelTokenizer();
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", individual}}, byte_level}}};
    return Plain(*MustLoad(json), "a 12");
  };
  EXPECT_EQ(Plain(*MustLoad(ByteLevelTokenizer()), "a 12"), kBytes.Ids({"a", "\u0120", "12"}));
  EXPECT_EQ(with_digits(true), kBytes.Ids({"a", "\u0120", "1", "2"}));
  EXPECT_EQ(with_digits(false), kBytes.Ids({"a", "\u0120", "12"}));
}

TEST(ByteLevelTest, AWordThatIsATokenIsThatTokenIfMergesAreIgnored) {
  Json json = ByteLevelTokenizer();
  json["model"]["vocab"]["held"] = 300;
  EXPECT_EQ(Plain(*MustLoad(json), "held"), kBytes.Ids({"he", "l", "d"}));
  json["model"]["ignore_merges"] = true;
  EXPECT_THAT(Plain(*MustLoad(json), "held hel"),
              ElementsAre(300, kBytes.Id("\u0120"), kBytes.Id("he"), 'l'));
}

TEST(ByteLevelTest, AByteWithoutATokenIsLeftOutOrUnknown) {
  Json json = ByteLevelTokenizer();
  json["model"]["vocab"].erase("x");
  EXPECT_EQ(Plain(*MustLoad(json), "hxexx"), kBytes.Ids({"he"}));
  json["model"]["unk_token"] = "<|end|>";
  const int32_t unk = kBytes.Id("<|end|>");
  EXPECT_THAT(Plain(*MustLoad(json), "hxexx"), ElementsAre('h', unk, 'e', unk, unk));
  json["model"]["fuse_unk"] = true;
  EXPECT_THAT(Plain(*MustLoad(json), "hxexx"), ElementsAre('h', unk, 'e', unk));
}

TEST(MarkTest, EachPieceBeginsWithAMark) {
  const auto tokenizer = MustLoad(MarkTokenizer());
  const std::string mark = kMark;
  EXPECT_EQ(Plain(*tokenizer, "hello"), kMarks.Ids({mark + "hello"}));
  EXPECT_EQ(Plain(*tokenizer, " hello"), kMarks.Ids({mark, mark + "hello"}));
  EXPECT_EQ(Plain(*tokenizer, "he  w"), kMarks.Ids({mark + "he", mark + mark, "w"}));
  EXPECT_EQ(Plain(*tokenizer, "   "), kMarks.Ids({mark + mark, mark + mark}));
  EXPECT_THAT(Plain(*tokenizer, ""), ElementsAre());
  // Behind an added token too.
  EXPECT_EQ(Plain(*tokenizer, "he</s>he"), kMarks.Ids({mark + "he", "</s>", mark + "he"}));
}

TEST(MarkTest, WhatNoTokenStandsForIsItsBytes) {
  const auto tokenizer = MustLoad(MarkTokenizer());
  EXPECT_THAT(Plain(*tokenizer, "\u4e2d"),
              ElementsAre(kMarks.Id(kMark), ByteId(0xE4), ByteId(0xB8), ByteId(0xAD)));
  EXPECT_THAT(Plain(*tokenizer, "\u00e9\n"),
              ElementsAre(kMarks.Id(kMark), kMarks.Id("\u00e9"), ByteId('\n')));
}

TEST(MarkTest, WithoutItsBytesItIsUnknown) {
  const auto ids = [](const std::function<void(Json&)>& edit, std::string_view text) {
    Json json = MetaspaceTokenizer("never");
    json["model"]["vocab"].erase("<0xB8>");
    edit(json);
    return Plain(*MustLoad(json), text);
  };
  const auto keep = [](Json&) {};
  const auto apart = [](Json& j) { j["model"]["fuse_unk"] = false; };
  const auto none = [](Json& j) { j["model"]["unk_token"] = nullptr; };
  const int32_t h = kMarks.Id("h");
  EXPECT_THAT(ids(keep, "h\u4e2d\u4e2dh"), ElementsAre(h, 0, h));
  EXPECT_THAT(ids(apart, "h\u4e2d\u4e2dh"), ElementsAre(h, 0, 0, h));
  EXPECT_THAT(ids(none, "h\u4e2d\u4e2dh"), ElementsAre(h, h));
  // The reference writes the bytes of a character before an unknown one that stood before it.
  EXPECT_THAT(ids(keep, "h\u4e2d\x01h"), ElementsAre(h, ByteId(1), 0, h));
}

TEST(MetaspaceTest, TheSchemeSaysWhereAMarkIsPut) {
  const std::string mark = kMark;
  const std::string text = "he</s>he w";
  const auto ids = [&](const char* scheme) {
    return Plain(*MustLoad(MetaspaceTokenizer(scheme)), text);
  };
  EXPECT_EQ(ids("always"), kMarks.Ids({mark + "he", "</s>", mark + "he", mark + "w"}));
  EXPECT_EQ(ids("first"), kMarks.Ids({mark + "he", "</s>", "he", mark + "w"}));
  EXPECT_EQ(ids("never"), kMarks.Ids({"he", "</s>", "he", mark + "w"}));
}

TEST(MetaspaceTest, NoSecondMarkIsPutBeforeASpace) {
  const auto tokenizer = MustLoad(MetaspaceTokenizer("first"));
  EXPECT_EQ(Plain(*tokenizer, " he"), kMarks.Ids({std::string(kMark) + "he"}));
  EXPECT_EQ(Plain(*tokenizer, "</s> he"), kMarks.Ids({"</s>", std::string(kMark) + "he"}));
}

TEST(MetaspaceTest, WordsBeginWithMarksIfTheyAreSplit) {
  const std::string mark = kMark;
  EXPECT_EQ(Plain(*MustLoad(MetaspaceTokenizer("first", false)), "   "),
            kMarks.Ids({mark + mark, mark}));
  EXPECT_EQ(Plain(*MustLoad(MetaspaceTokenizer("first", true)), "   "),
            kMarks.Ids({mark, mark, mark}));
}

/// A merge across a mark keeps the model from cutting words there, which must change nothing else.
TEST(MarkTest, WordsThatCantBeCutGiveTheSameIds) {
  Json whole = MarkTokenizer();
  const std::string crossing = "q" + std::string(kMark);
  whole["model"]["vocab"]["q"] = 1000;
  whole["model"]["vocab"][crossing] = 1001;
  whole["model"]["merges"].push_back({"q", kMark});
  const auto uncut = MustLoad(whole);
  const auto cut = MustLoad(MarkTokenizer());
  EXPECT_THAT(Plain(*uncut, "q q"), ElementsAre(kMarks.Id(kMark), 1001, 1000));
  std::mt19937 random(1);
  const std::vector<std::string> parts = {" ", " ",   "h",      "e", "ll",    "o",
                                          "w", kMark, "\u00e9", "x", "\u4e2d"};
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t k = random() % 60; k > 0; --k) text += parts[random() % parts.size()];
    ASSERT_EQ(Plain(*uncut, text), Plain(*cut, text)) << text;
  }
}

TEST(MarkTest, WhatIsLeftOutPartsNothing) {
  Json json = MetaspaceTokenizer("never");
  json["model"].update({{"byte_fallback", false}, {"unk_token", nullptr}});
  const std::string two = std::string(kMark) + kMark;
  EXPECT_EQ(Plain(*MustLoad(json), " \u4e2d h"), kMarks.Ids({two, "h"}));
}

TEST(NfcTest, TextsAreComposedFirst) {
  Json json = ByteLevelTokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(Plain(*MustLoad(json), "e\u0301"), kBytes.Ids({"\u00c3\u00a9"}));
  EXPECT_THAT(Plain(*MustLoad(ByteLevelTokenizer()), "e\u0301"), ElementsAre('e', 0xCC, 0x81));
}

TEST(BpeTest, AWordOfManyEqualBytesIsMergedWhole) {
  const std::vector<int32_t> ids =
      Plain(*MustLoad(ByteLevelTokenizer()), std::string(100'001, 'l'));
  EXPECT_EQ(ids.size(), 50'001u);
}

TEST(BpeTest, TheFingerprintChangesWithAllThatChangesAnId) {
  const auto plain = MustLoad(MarkTokenizer())->fingerprint();
  const std::vector<std::function<void(Json&)>> edits = {
      [](Json& j) { j["model"]["vocab"]["new"] = 1000; },
      [](Json& j) { std::swap(j["model"]["vocab"]["h"], j["model"]["vocab"]["e"]); },
      [](Json& j) { std::swap(j["model"]["merges"][0], j["model"]["merges"][1]); },
      [](Json& j) { j["model"]["merges"].erase(6); },
      [](Json& j) { j["model"]["fuse_unk"] = false; },
      [](Json& j) { j["model"]["byte_fallback"] = false; },
      [](Json& j) { j["model"]["ignore_merges"] = true; },
      [](Json& j) { j["model"]["unk_token"] = "</s>"; },
      [](Json& j) { j["normalizer"] = nullptr; },
      [](Json& j) {
        j["pre_tokenizer"] = {{"type", "Digits"}, {"individual_digits", true}};
      }};
  for (size_t i = 0; i < edits.size(); ++i) {
    Json json = MarkTokenizer();
    edits[i](json);
    EXPECT_NE(MustLoad(json)->fingerprint(), plain) << i;
  }
  Json json = MarkTokenizer();
  for (Json& merge : json["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(MustLoad(json)->fingerprint(), plain);
}

/// Random texts come back as they were: byte-level vocabularies lose nothing.
TEST(BpeTest, DecodingGivesTheTextBack) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t k = random() % 20; k > 0; --k) {
      const auto code = static_cast<uint32_t>(random() % (i % 2 == 0 ? 0x80 : 0x110000));
      if (code < 0xD800 || code > 0xDFFF) unicode::Append(code, text);
    }
    EXPECT_EQ(tokenizer->Decode(Plain(*tokenizer, text), {}), text);
  }
}

TEST(BpeTest, AnyBytesAreSafe) {
  const auto bytes = MustLoad(ByteLevelTokenizer());
  const auto marks = MustLoad(MarkTokenizer());
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    const std::string read = unicode::Valid(text);
    EXPECT_EQ(bytes->Decode(Plain(*bytes, text), {}), read);
    EXPECT_EQ(Plain(*marks, text), Plain(*marks, read));
  }
}

}  // namespace
}  // namespace graft::tokenizers
