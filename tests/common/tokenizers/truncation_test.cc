#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/common/tokenizers/tiny.h"

namespace graft::tokenizers {
namespace {

/// "hello hello ..." of `count` tokens.
std::string Hellos(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += "hello ";
  return text;
}

std::string Worlds(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += "world ";
  return text;
}

class TruncationTest : public testing::Test {
 protected:
  /// How many tokens of each text are left.
  std::pair<size_t, size_t> Lengths(size_t a, size_t b, int max_length) {
    const Encoding pair = tokenizer_->EncodePair(Hellos(a), Worlds(b), {.max_length = max_length});
    EXPECT_EQ(pair.ids.size(), pair.type_ids.size());
    return {std::count(pair.ids.begin(), pair.ids.end(), Id("hello")),
            std::count(pair.ids.begin(), pair.ids.end(), Id("world"))};
  }
  using Pair = std::pair<size_t, size_t>;
  const std::shared_ptr<const Tokenizer> tokenizer_ = MustLoad();
};

TEST_F(TruncationTest, OneTextIsCutAtTheRightWithItsSpecialTokensKept) {
  const Encoding cut = tokenizer_->Encode("hello world ! , a", {.max_length = 5});
  EXPECT_EQ(cut.ids, Ids({"[CLS]", "hello", "world", "!", "[SEP]"}));
  EXPECT_EQ(cut.type_ids.size(), 5u);
  EXPECT_EQ(tokenizer_->Encode("hello world !", {.max_length = 5}).ids, cut.ids);
}

TEST_F(TruncationTest, AWordIsCutBetweenItsPieces) {
  EXPECT_EQ(tokenizer_->Encode("unaffable", {.max_length = 4}).ids,
            Ids({"[CLS]", "un", "##aff", "[SEP]"}));
}

TEST_F(TruncationTest, TruncationAndPaddingInTheFileAreIgnored) {
  // The file says 3 tokens, padded to 9.
  EXPECT_EQ(tokenizer_->Encode("hello world !", {}).ids,
            Ids({"[CLS]", "hello", "world", "!", "[SEP]"}));
  EXPECT_EQ(tokenizer_->Encode(Hellos(600), {}).ids.size(), 512u);
}

TEST_F(TruncationTest, StoppingEarlyGivesTheFirstIdsOfTheWhole) {
  const std::string text = "unaffable [MASK] running, hello\u4e2d\u56fd resume! " + Hellos(20);
  const Encoding whole = tokenizer_->Encode(text, {.max_length = 512});
  for (int max_length = 2; max_length < 40; ++max_length) {
    const Encoding cut = tokenizer_->Encode(text, {.max_length = max_length});
    std::vector<int32_t> expected(whole.ids.begin(), whole.ids.end() - 1);
    expected.resize(std::min(expected.size(), static_cast<size_t>(max_length) - 1));
    expected.push_back(kSep);
    EXPECT_EQ(cut.ids, expected) << max_length;
    EXPECT_EQ(cut.truncated, expected.size() < whole.ids.size()) << max_length;
  }
}

TEST_F(TruncationTest, WithoutRoomOnlySpecialTokensAreLeft) {
  for (const int max_length : {2, 1, 0, -5}) {
    EXPECT_EQ(tokenizer_->Encode("hello", {.max_length = max_length}).ids, Ids({"[CLS]", "[SEP]"}));
    EXPECT_EQ(tokenizer_->EncodePair("hello", "world", {.max_length = max_length}).ids,
              Ids({"[CLS]", "[SEP]", "[SEP]"}));
  }
}

// Three of max_length are special tokens.
TEST_F(TruncationTest, OfAPairTheLongerTextIsCutFirst) {
  EXPECT_EQ(Lengths(2, 10, 11), (Pair{2, 6}));
  EXPECT_EQ(Lengths(10, 2, 11), (Pair{6, 2}));
  EXPECT_EQ(Lengths(4, 4, 11), (Pair{4, 4}));
  EXPECT_EQ(Lengths(0, 20, 11), (Pair{0, 8}));
  EXPECT_EQ(Lengths(3, 5, 512), (Pair{3, 5}));
}

TEST_F(TruncationTest, OfAPairOfLongTextsEachGetsHalf) {
  EXPECT_EQ(Lengths(10, 10, 11), (Pair{4, 4}));
  EXPECT_EQ(Lengths(5, 10, 11), (Pair{4, 4}));
  // The odd token goes to the longer text; to the second where both are equal.
  EXPECT_EQ(Lengths(10, 11, 12), (Pair{4, 5}));
  EXPECT_EQ(Lengths(11, 10, 12), (Pair{5, 4}));
  EXPECT_EQ(Lengths(10, 10, 12), (Pair{4, 5}));
  EXPECT_EQ(Lengths(10, 10, 4), (Pair{0, 1}));
}

TEST_F(TruncationTest, APairNeverGrowsPastItsLimit) {
  for (size_t a = 0; a < 8; ++a) {
    for (size_t b = 0; b < 8; ++b) {
      for (int max_length = 3; max_length < 20; ++max_length) {
        const auto [left_a, left_b] = Lengths(a, b, max_length);
        EXPECT_LE(left_a, a);
        EXPECT_LE(left_b, b);
        const size_t room = static_cast<size_t>(max_length) - 3;
        const Encoding pair =
            tokenizer_->EncodePair(Hellos(a), Worlds(b), {.max_length = max_length});
        EXPECT_EQ(pair.truncated, a + b > room) << a << " " << b << " " << max_length;
        EXPECT_EQ(left_a + left_b, std::min(a + b, room)) << a << " " << b << " " << max_length;
      }
    }
  }
}

}  // namespace
}  // namespace graft::tokenizers
