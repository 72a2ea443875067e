/// The way back from ids, whole and as they come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/base/utf8.h"
#include "tests/common/tokenizers/tiny_bpe.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;

const TinyMerges kBytes = ByteLevelMerges();
const TinyMerges kMarks = MarkMerges();

/// The pieces that a stream gives, the last of them at its end.
std::vector<std::string> Streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                                  const DecodeOptions& options = {}) {
  const auto stream = tokenizer.StartDecode(options);
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(stream->Push(id));
  pieces.push_back(stream->Finish());
  return pieces;
}

TEST(ByteLevelDecodeTest, JoinsBytesAcrossTokens) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  EXPECT_EQ(tokenizer->Decode(kBytes.Ids({"hello", "\u0120wor", "l", "d"}), {}), "hello world");
  EXPECT_EQ(tokenizer->Decode({0xE4, 0xB8, 0xAD}, {}), "\u4e2d");
  EXPECT_EQ(tokenizer->Decode({0xE4, 0xB8, 'h'}, {}), "\ufffdh");
  EXPECT_EQ(tokenizer->Decode({'h', 0xE4, 0xB8}, {}), "h\ufffd");
  EXPECT_EQ(tokenizer->Decode({0xFF, 0xFF}, {}), "\ufffd\ufffd");
  EXPECT_EQ(tokenizer->Decode({}, {}), "");
}

TEST(ByteLevelDecodeTest, ATokenThatSpellsNoBytesIsItsOwnText) {
  Json json = ByteLevelTokenizer();
  const auto next = static_cast<int32_t>(kBytes.tokens.size());
  json["added_tokens"].push_back(Special("two words", next));
  json["added_tokens"].push_back(Special("\u4e2d", next + 1));
  const auto tokenizer = MustLoad(json);
  EXPECT_EQ(tokenizer->Decode({next, next + 1, kBytes.Id("\u0120w")}, {.special_tokens = true}),
            "two words\u4e2d w");
}

TEST(ByteLevelDecodeTest, AStreamGivesWholeCharacters) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  EXPECT_THAT(Streamed(*tokenizer, {'h', 0xE4, 0xB8, 0xAD, 'e'}),
              ElementsAre("h", "", "", "\u4e2d", "e", ""));
  EXPECT_THAT(Streamed(*tokenizer, {0xF0, 0x9F, 'h'}), ElementsAre("", "", "\ufffdh", ""));
  EXPECT_THAT(Streamed(*tokenizer, {0xF0, 0x9F}), ElementsAre("", "", "\ufffd"));
}

TEST(ByteLevelDecodeTest, ATokenThatIsAPartOfACharacterSaysItsBytes) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());
  EXPECT_EQ(tokenizer->PartOfCharacters(0xE4), "\xe4");
  EXPECT_EQ(tokenizer->PartOfCharacters('h'), std::nullopt);
  EXPECT_EQ(tokenizer->PartOfCharacters(kBytes.Id("\u0120w")), std::nullopt);
  EXPECT_EQ(tokenizer->PartOfCharacters(1 << 20), std::nullopt);
  EXPECT_EQ(tokenizer->PartOfCharacters(-1), std::nullopt);
}

TEST(MarkDecodeTest, TheFirstSpaceIsTakenAway) {
  const std::string mark = kMark;
  const auto tokenizer = MustLoad(MarkTokenizer());
  EXPECT_EQ(tokenizer->Decode(kMarks.Ids({mark + "hello", mark + "w"}), {}), "hello w");
  EXPECT_EQ(tokenizer->Decode(kMarks.Ids({mark + mark, "h"}), {}), " h");
  EXPECT_EQ(tokenizer->Decode(kMarks.Ids({"h", mark}), {}), "h ");
  EXPECT_EQ(tokenizer->Decode(kMarks.Ids({mark}), {}), "");
}

TEST(MarkDecodeTest, ARunOfBytesIsTextOnlyIfAllOfItIs) {
  const auto tokenizer = MustLoad(MarkTokenizer());
  const int32_t h = kMarks.Id("h");
  EXPECT_EQ(tokenizer->Decode({h, ByteId(0xE4), ByteId(0xB8), ByteId(0xAD), h}, {}), "h\u4e2dh");
  EXPECT_EQ(tokenizer->Decode({ByteId(0xE4), ByteId(0xB8), ByteId(0xAD), ByteId(0xE4)}, {}),
            "\ufffd\ufffd\ufffd\ufffd");
  EXPECT_EQ(tokenizer->Decode({ByteId(0xE4), h, ByteId(0xB8)}, {}), "\ufffdh\ufffd");
}

TEST(MarkDecodeTest, AStreamWaitsForTheEndOfSuchARun) {
  const auto tokenizer = MustLoad(MarkTokenizer());
  const int32_t h = kMarks.Id("h");
  EXPECT_THAT(Streamed(*tokenizer, {h, ByteId(0xE4), ByteId(0xB8), ByteId(0xAD), h}),
              ElementsAre("h", "", "", "", "\u4e2dh", ""));
  EXPECT_THAT(Streamed(*tokenizer, {ByteId('a'), ByteId(0xB8)}),
              ElementsAre("", "", "\ufffd\ufffd"));
}

TEST(MarkDecodeTest, AStreamTakesTheFirstSpaceAwayOnce) {
  const std::string mark = kMark;
  const auto tokenizer = MustLoad(MarkTokenizer());
  EXPECT_THAT(Streamed(*tokenizer, kMarks.Ids({mark, mark, "h", mark})),
              ElementsAre("", " ", "h", " ", ""));
}

TEST(MetaspaceDecodeTest, MarksInTheFirstTokenAreTakenAway) {
  Json json = MetaspaceTokenizer();
  json["decoder"] = json["pre_tokenizer"];
  const std::string mark = kMark;
  const std::vector<int32_t> ids = kMarks.Ids({mark + mark, mark + "he", mark + "w"});
  EXPECT_EQ(MustLoad(json)->Decode(ids, {}), " he w");
  json["decoder"]["prepend_scheme"] = "never";
  EXPECT_EQ(MustLoad(json)->Decode(ids, {}), "   he w");
}

TEST(StripDecodeTest, BeforeFuseEachTokenIsStripped) {
  Json json = MarkTokenizer();
  Json& parts = json["decoder"]["decoders"];
  std::swap(parts[2], parts[3]);
  const std::string mark = kMark;
  EXPECT_EQ(MustLoad(json)->Decode(kMarks.Ids({mark + "he", mark + "w"}), {}), "hew");
}

TEST(DecodeTest, SpecialTokensBecomeTextOnlyIfAsked) {
  const auto tokenizer = MustLoad(MarkTokenizer());
  const std::vector<int32_t> ids = tokenizer->Encode("he</s>", {}).ids;
  EXPECT_EQ(tokenizer->Decode(ids, {}), "he");
  EXPECT_EQ(tokenizer->Decode(ids, {.special_tokens = true}), "<s> he</s>");
}

/// Special tokens that are matched in normalized text, as Llama 2's: versions from 0.23 of the
/// library decode them in that form ("\u2581<s>") and then don't know that they are special.
TEST(DecodeTest, NormalizedSpecialTokensAreSpecialToo) {
  Json json = MarkTokenizer();
  for (Json& token : json["added_tokens"]) token["normalized"] = true;
  const auto tokenizer = MustLoad(json);
  EXPECT_EQ(tokenizer->Decode({kTinyBos, kMarks.Id("h"), kTinyEos}, {}), "h");
  EXPECT_EQ(tokenizer->Decode({kTinyBos, kMarks.Id("h")}, {.special_tokens = true}), "<s>h");
}

class DecodeStreamTest : public testing::TestWithParam<const char*> {
 protected:
  static Json Form() {
    const std::string name = GetParam();
    if (name == "ByteLevel") return ByteLevelTokenizer();
    Json json = name == "Marks" ? MarkTokenizer() : MetaspaceTokenizer();
    if (name == "Metaspace") json["decoder"] = json["pre_tokenizer"];
    if (name == "Spaces") json["decoder"] = nullptr;
    if (name == "Pieces") json["decoder"] = {{"type", "WordPiece"}, {"prefix", "h"}};
    return json;
  }
};
INSTANTIATE_TEST_SUITE_P(Decoders, DecodeStreamTest,
                         testing::Values("ByteLevel", "Marks", "Metaspace", "Spaces", "Pieces"),
                         [](const auto& form) { return form.param; });

TEST_P(DecodeStreamTest, JoinedPiecesAreTheWholeText) {
  const auto tokenizer = MustLoad(Form());
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    const DecodeOptions options{.special_tokens = random() % 2 == 0};
    std::vector<int32_t> ids(random() % 30);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 300) - 2;  // Unknown ones too.
    std::string joined;
    for (const std::string& piece : Streamed(*tokenizer, ids, options)) {
      EXPECT_EQ(FirstInvalidUtf8(piece), std::string::npos);
      joined += piece;
    }
    ASSERT_EQ(joined, tokenizer->Decode(ids, options));
  }
}

}  // namespace
}  // namespace graft::tokenizers
