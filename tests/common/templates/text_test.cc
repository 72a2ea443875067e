#include "common/templates/values/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::templates {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(TextTest, PositionsCountCharacters) {
  EXPECT_EQ(NumCodes("a\u00e9\U0001f600"), 3);
  EXPECT_EQ(ByteOf("a\u00e9\U0001f600", 2), 3);
  EXPECT_EQ(ByteOf("a\u00e9", 9), 3);
}

TEST(TextTest, StrippingKnowsUnicodesWhiteSpaceAndPythons) {
  EXPECT_EQ(Strip("\x1c\u00a0\u2003 a b \u3000\n", Side::kBoth), "a b");
  EXPECT_EQ(Strip("\u200b a", Side::kLeft), "\u200b a");  // No white space to either.
  EXPECT_EQ(Strip("\u00e9a\u00e9\u00e8", Side::kRight, "\u00e8\u00e9"), "\u00e9a");
  EXPECT_EQ(Strip("  ", Side::kBoth), "");
}

TEST(TextTest, SplittingCountsFromEitherSide) {
  EXPECT_THAT(Split("a,b,,c", ",", {}), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(Split("a,b,c", ",", {.max = 1}), ElementsAre("a", "b,c"));
  EXPECT_THAT(Split("a,b,c", ",", {.max = 1, .from_right = true}), ElementsAre("a,b", "c"));
  EXPECT_THAT(Split("aaa", "aa", {.from_right = true}), ElementsAre("a", ""));
  EXPECT_THAT(Split("", ",", {}), ElementsAre(""));
  EXPECT_THAT(SplitAtSpace("  a  b c ", {}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(SplitAtSpace("  a  b c ", {.max = 1}), ElementsAre("a", "b c "));
  EXPECT_THAT(SplitAtSpace(" a  b c ", {.max = 1, .from_right = true}), ElementsAre(" a  b", "c"));
  EXPECT_THAT(SplitAtSpace("  ", {}), IsEmpty());
}

TEST(TextTest, LinesEndAsInPython) {
  EXPECT_THAT(SplitLines("a\r\nb\x0b"
                         "c\u2028d\n",
                         false),
              ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(SplitLines("a\r\nb\n\n", true), ElementsAre("a\r\n", "b\n", "\n"));
  EXPECT_THAT(SplitLines("", false), IsEmpty());
}

TEST(TextTest, FindingCountsWithoutOverlaps) {
  EXPECT_EQ(Find("abcabc", "bc"), 1);
  EXPECT_EQ(Find("abcabc", "bc", 2), 4);
  EXPECT_EQ(Find("abc", "x"), std::string_view::npos);
  EXPECT_EQ(Find("abc", ""), 0);
  EXPECT_EQ(Find("abc", "", 4), std::string_view::npos);
  EXPECT_EQ(FindLast("abcabc", "bc"), 4);
  EXPECT_EQ(FindLast("abc", ""), 3);
  EXPECT_EQ(Occurrences("aaaa", "aa"), 2);
}

TEST(TextTest, CasesAreUnicodes) {
  EXPECT_EQ(*InCase("stra\u00dfe \ufb01 \u00e9 \u0131", Case::kUpper), "STRASSE FI \u00c9 I");
  EXPECT_EQ(*InCase("\u0130\u00c9A\U00010400", Case::kLower), "i\u0307\u00e9a\U00010428");
  EXPECT_EQ(*InCase("\u01c6", Case::kTitle), "\u01c5");
  EXPECT_EQ(*Capitalized("\u01c6HELLO"), "\u01c5hello");
  EXPECT_EQ(*Capitalized(""), "");
  EXPECT_FALSE(InCase("\u03a3", Case::kLower).ok());
}

TEST(TextTest, WhatCannotBeSeenIsNotPrintable) {
  for (const uint32_t code : {uint32_t{'a'}, uint32_t{' '}, 0xE9U, 0x1F600U})
    EXPECT_TRUE(IsPrintable(code)) << code;
  for (const uint32_t code : {0U, 0x7FU, 0xA0U, 0xADU, 0x200BU, 0x2028U, 0xE000U, 0x10FFFFU})
    EXPECT_FALSE(IsPrintable(code)) << code;
}

}  // namespace
}  // namespace graft::templates
