#include "common/base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace graft {
namespace {

constexpr size_t kValid = std::string_view::npos;

std::string Encode(uint32_t c) {
  std::string out;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 63));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

TEST(Utf8Test, AcceptsExactlyTheScalarValues) {
  for (uint32_t c = 0; c < 0x120000; ++c) {
    const bool is_scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
    const size_t found = FirstInvalidUtf8(Encode(c));
    if ((found == kValid) != is_scalar) FAIL() << std::hex << c;
  }
}

TEST(Utf8Test, RefusesOverlongAndTornForms) {
  EXPECT_EQ(FirstInvalidUtf8("\xC0\xAF"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xC1\xBF"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xE0\x9F\xBF"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xF0\x8F\xBF\xBF"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\x80"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xFE"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xE2\x82"), 0U);
  EXPECT_EQ(FirstInvalidUtf8("\xF0\x9F\x98"), 0U);
}

TEST(Utf8Test, FindsTheByteAtEveryOffset) {
  for (size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    text[at] = '\xE9';
    EXPECT_EQ(FirstInvalidUtf8(text), at);
  }
  EXPECT_EQ(FirstInvalidUtf8("caf\xC3\xA9 and \xE2\x82\xAC and \xC3"), 18U);
}

TEST(Utf8Test, PrintableIsValidAndShort) {
  EXPECT_EQ(Printable("plain"), "plain");
  EXPECT_EQ(Printable(std::string(100, 'x'), 10), "xxxxxxxxxx...");
  // Never cut inside of a character: four bytes hold one euro sign.
  EXPECT_EQ(Printable("\xE2\x82\xAC\xE2\x82\xAC", 4), "\xE2\x82\xAC...");
  EXPECT_EQ(Printable("abc\n", 4), "abc...") << "nor inside of an escape";
  EXPECT_EQ(Quoted("a b"), "\"a b\"");
}

TEST(Utf8Test, PrintableHidesNothing) {
  EXPECT_EQ(Printable("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(Printable("\x1B[31m\x7F"), "\\u001b[31m\\u007f");
  EXPECT_EQ(Printable("\xFF"
                      "c"),
            "\\xffc");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "\\u009b31m")
      << "a terminal's control sequence in one character";
  EXPECT_EQ(Printable("x\xC2\xA0"), "x\\u00a0");
  EXPECT_EQ(Printable("\xE2\x80\x8Bx\xEF\xBB\xBF"), "\\u200bx\\ufeff");
  EXPECT_EQ(Printable("\xE2\x80\xAEtxt"), "\\u202etxt") << "turns what follows around";
  EXPECT_EQ(Printable("\xF3\xA0\x81\x81"), "\\U000e0041") << "a tag";
  EXPECT_EQ(Printable("\xC3\xA4 \xE6\x97\xA5 \xF0\x9F\x98\x80"),
            "\xC3\xA4 \xE6\x97\xA5 \xF0\x9F\x98\x80");
}

TEST(Utf8Test, OnOneLineEscapesWhatMovesAndKeepsTheRest) {
  EXPECT_EQ(OnOneLine("a\n\t\x1b[31m\x7f\u0085\u2028\u202e\u2066\u200f\xff"),
            "a\\n\\t\\u001b[31m\\u007f\\u0085\\u2028\\u202e\\u2066\\u200f\\xff");
  const std::string kept = "é \u00a0\u200c\u200d\U0001f469" + std::string(200, 'x');
  EXPECT_EQ(OnOneLine(kept), kept);
}

TEST(Utf8Test, CodesThereAndBack) {
  for (const uint32_t code : {0x24U, 0x7FU, 0x80U, 0x7FFU, 0x800U, 0xFFFDU, 0x10000U, 0x10FFFFU}) {
    std::string text;
    AppendUtf8(code, text);
    const Utf8Code first = FirstCode(text + "x");
    EXPECT_EQ(first.code, code);
    EXPECT_EQ(first.length, text.size());
  }
  EXPECT_EQ(FirstCode("\xC3(").length, 0U);
}

}  // namespace
}  // namespace graft
