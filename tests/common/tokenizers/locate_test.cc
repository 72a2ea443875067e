/// Where tokens stand in their text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/common/tokenizers/tiny_bpe.h"

namespace graft::tokenizers {
namespace {

using testing::ElementsAre;

/// "token begin-end" of each; fails the test if the ids aren't Encode's.
std::vector<std::string> Located(const Tokenizer& tokenizer, const std::string& text) {
  const auto located = tokenizer.Locate(text);
  EXPECT_TRUE(located.ok()) << located.status();
  if (!located.ok()) return {};
  std::vector<int32_t> ids;
  std::vector<std::string> spans;
  for (const LocatedToken& token : *located) {
    ids.push_back(token.id);
    spans.push_back(text.substr(token.begin, token.end - token.begin));
  }
  EXPECT_EQ(ids, tokenizer.Encode(text, {.max_length = 1 << 20, .special_tokens = false}).ids);
  return spans;
}

TEST(LocateTest, TokensOfBytesStandWhereTheirBytesDo) {
  const auto tokenizer = MustLoad(ByteLevelTokenizer());

  EXPECT_THAT(Located(*tokenizer, "hello  world<|end|>\u00e9"),
              ElementsAre("hello", " ", " wor", "l", "d", "<|end|>", "\u00e9"));
  EXPECT_THAT(Located(*tokenizer, "\u4e2d"), ElementsAre("\xE4", "\xB8", "\xAD"));
  EXPECT_THAT(Located(*tokenizer, ""), ElementsAre());
}

TEST(LocateTest, ASpaceThatIsPutInFrontTakesNothing) {
  Json json = ByteLevelTokenizer();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  const auto tokenizer = MustLoad(json);

  EXPECT_THAT(Located(*tokenizer, "world"), ElementsAre("wor", "l", "d"));
  EXPECT_THAT(Located(*tokenizer, " world"), ElementsAre(" wor", "l", "d"));
}

TEST(LocateTest, MarksAreSpacesAndBytesAreTheirCharacters) {
  const auto tokenizer = MustLoad(MarkTokenizer());

  EXPECT_THAT(Located(*tokenizer, "hello  w"), ElementsAre("hello", "  ", "w"));
  // A byte's token stands for what it can of its character.
  const auto located = tokenizer->Locate("h\u4e2dl");
  ASSERT_TRUE(located.ok()) << located.status();
  EXPECT_EQ(located->back().begin, 4U);
  EXPECT_EQ(located->back().end, 5U);
}

TEST(LocateTest, ComposedCharactersStandForWhatTheyAreMadeOf) {
  Json json = ByteLevelTokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = MustLoad(json);

  EXPECT_THAT(Located(*tokenizer, "he\u0301llo e\u0301."),
              ElementsAre("h", "e\u0301", "ll", "o", " ", "e\u0301", "."));
}

TEST(LocateTest, ATokenizerThatTakesCharactersAwayIsRefused) {
  const auto tokenizer = MustLoad(TinyTokenizer());

  EXPECT_EQ(tokenizer->Locate("r\u00e9sum\u00e9").status().code(), StatusCode::kUnimplemented);
}

TEST(LocateTest, TokensFollowEachOtherThroughAnyText) {
  PhiloxSequence random(3, RandomStream::kProbe);
  constexpr const char* kPieces[] = {"he",      "llo",    " ",          "  ",     "wor",
                                     "12",      "\u00e9", "e\u0301",    "\u4e2d", "\n",
                                     "<|end|>", "</s>",   "\U0001F600", "\u2581"};
  Json composing = ByteLevelTokenizer();
  composing["normalizer"] = {{"type", "NFC"}};
  for (const Json& json : {ByteLevelTokenizer(), MarkTokenizer(), composing}) {
    const auto tokenizer = MustLoad(json);
    for (int i = 0; i < 500; ++i) {
      std::string text;
      for (uint32_t n = random.NextBelow(12); n > 0; --n) text += kPieces[random.NextBelow(14)];
      SCOPED_TRACE(text);
      Located(*tokenizer, text);
      size_t end = 0;
      const auto located = tokenizer->Locate(text);
      for (const LocatedToken& token : located.value()) {
        EXPECT_LE(token.begin, end);
        EXPECT_GE(token.end, token.begin);
        end = std::max(end, token.end);
      }
      EXPECT_EQ(end, text.size());
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace graft::tokenizers
