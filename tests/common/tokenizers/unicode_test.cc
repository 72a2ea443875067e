/// Normal forms and classes of characters. parity_bpe.py compares them with the library's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "common/tokenizers/unicode/char_class.h"
#include "common/tokenizers/unicode/normal_forms.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers::unicode {
namespace {

bool IsSurrogate(uint32_t code) { return code >= 0xD800 && code <= 0xDFFF; }

std::string Utf8(const std::vector<uint32_t>& codes) {
  std::string text;
  for (const uint32_t code : codes) Append(code, text);
  return text;
}

TEST(ComposedTest, JoinsLettersAndMarks) {
  EXPECT_EQ(Composed("re\u0301sume\u0301"), "r\u00e9sum\u00e9");
  // Two marks, in whichever order.
  EXPECT_EQ(Composed("e\u0302\u0323"), "\u1ec7");
  EXPECT_EQ(Composed("e\u0323\u0302"), "\u1ec7");
  EXPECT_EQ(Composed("plain \u4e2d"), "plain \u4e2d");
  EXPECT_EQ(Composed(""), "");
}

TEST(ComposedTest, AMarkOfTheSameClassInBetweenBlocks) {
  EXPECT_EQ(Composed("a\u0305\u0301"), "a\u0305\u0301");
  EXPECT_EQ(Composed("a\u0323\u0301"), "\u1ea1\u0301");
}

TEST(ComposedTest, SyllablesAreComposedByArithmetic) {
  EXPECT_EQ(Composed("\u1112\u1161\u11ab\u1100\u1173\u11af"), "\ud55c\uae00");
  EXPECT_EQ(Composed("\ud558\u11ab"), "\ud55c");
  // A syllable that is whole takes no further tail.
  EXPECT_EQ(Composed("\ud55c\u11ab"), "\ud55c\u11ab");
}

TEST(ComposedTest, WhatIsExcludedStaysApart) {
  EXPECT_EQ(Composed("\u0958"), "\u0915\u093c");  // Devanagari qa.
  EXPECT_EQ(Composed("\u212b"), "\u00c5");        // The sign is the letter.
}

TEST(ComposedTest, InvalidBytesBecomeTheReplacementCharacter) {
  EXPECT_EQ(Composed("a\xff"), "a\ufffd");
  EXPECT_EQ(Composed("e\u0301\xe4\xb8"), "\u00e9\ufffd");
}

TEST(ComposedTest, ComposingTwiceOrAfterDecomposingChangesNothing) {
  std::mt19937 random(1);
  const std::vector<std::pair<uint32_t, uint32_t>> blocks = {{0x41, 0x7a},   {0xc0, 0x17f},
                                                             {0x300, 0x36f}, {0x1100, 0x11ff},
                                                             {0x900, 0x97f}, {0x1e00, 0x1fff}};
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint32_t> codes(random() % 8);
    for (uint32_t& code : codes) {
      const auto& [first, last] = blocks[random() % blocks.size()];
      code = first + static_cast<uint32_t>(random()) % (last - first + 1);
    }
    const std::string composed = Composed(Utf8(codes));
    EXPECT_EQ(Composed(composed), composed);
    EXPECT_EQ(Composed(Utf8(Decompose(codes))), composed);
  }
}

TEST(CharClassTest, CountsAreTheLibrarys) {
  std::map<CharClass, int> counts;
  int numeric = 0;
  for (uint32_t code = 0; code < 0x110000; ++code) {
    if (IsSurrogate(code)) continue;
    ++counts[CharClasses::Get()[code]];
    numeric += IsNumeric(code) ? 1 : 0;
  }
  EXPECT_EQ(counts[CharClass::kLetter], 141'028);
  EXPECT_EQ(counts[CharClass::kNumber], 1'911);
  EXPECT_EQ(counts[CharClass::kSpace], 25);
  EXPECT_EQ(counts[CharClass::kOther], 0x110000 - 2048 - 141'028 - 1'911 - 25);
  EXPECT_EQ(numeric, 1'924);
}

TEST(CharAtTest, ReadsEveryCharacter) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    if (IsSurrogate(code)) continue;
    const std::string text = "a" + Utf8({code});
    const ValidChar read = CharAt(text, 1);
    ASSERT_EQ(read.code, code);
    ASSERT_EQ(read.length, text.size() - 1);
  }
}

}  // namespace
}  // namespace graft::tokenizers::unicode
