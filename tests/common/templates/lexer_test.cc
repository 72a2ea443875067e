#include "common/templates/syntax/lexer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/templates/syntax/literals.h"

namespace graft::templates {
namespace {

using testing::ElementsAre;

/// Each token as its kind's letter and text.
std::vector<std::string> Shown(std::string_view source) {
  const auto tokens = Tokenize(source);
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  std::vector<std::string> shown;
  for (const Token& token : tokens.ok() ? *tokens : std::vector<Token>()) {
    constexpr std::string_view kLetters = "T{}[]nsifo.";
    shown.push_back(kLetters[static_cast<size_t>(token.kind)] + token.text);
  }
  return shown;
}

TEST(LexerTest, TextAndTagsComeInTurn) {
  EXPECT_THAT(Shown("a{{ b }}c{% d %}"),
              ElementsAre("Ta", "{", "nb", "}", "Tc", "[", "nd", "]", "."));
  EXPECT_THAT(Shown(""), ElementsAre("."));
  EXPECT_THAT(Shown("{ } { {x} }"), ElementsAre("T{ } { {x} }", "."));
}

TEST(LexerTest, ALineEndBehindAStatementIsCutAndBehindAPrintKept) {
  EXPECT_THAT(Shown("{% a %}\nb"), ElementsAre("[", "na", "]", "Tb", "."));
  EXPECT_THAT(Shown("{% a +%}\nb"), ElementsAre("[", "na", "]", "T\nb", "."));
  EXPECT_THAT(Shown("{{ a }}\nb"), ElementsAre("{", "na", "}", "T\nb", "."));
  EXPECT_THAT(Shown("{# a #}\nb"), ElementsAre("Tb", "."));
}

TEST(LexerTest, WhiteSpaceInFrontOfAStatementAloneInItsLineIsCut) {
  EXPECT_THAT(Shown("x\n  {% a %}"), ElementsAre("Tx\n", "[", "na", "]", "."));
  EXPECT_THAT(Shown("  {% a %}"), ElementsAre("[", "na", "]", "."));
  EXPECT_THAT(Shown("x {% a %}"), ElementsAre("Tx ", "[", "na", "]", "."));
  EXPECT_THAT(Shown("  {%+ a %}"), ElementsAre("T  ", "[", "na", "]", "."));
  EXPECT_THAT(Shown("  {{ a }}"), ElementsAre("T  ", "{", "na", "}", "."));
  EXPECT_THAT(Shown("{{ a }}  {% a %}"), ElementsAre("{", "na", "}", "T  ", "[", "na", "]", "."));
  EXPECT_THAT(Shown("{% a %}\n  {% a %}"), ElementsAre("[", "na", "]", "[", "na", "]", "."));
}

TEST(LexerTest, AMinusCutsAllWhiteSpaceOnItsSide) {
  EXPECT_THAT(Shown("a \n\t\u00a0{%- b -%} \n\n c"), ElementsAre("Ta", "[", "nb", "]", "Tc", "."));
  EXPECT_THAT(Shown("a {{- b -}} c"), ElementsAre("Ta", "{", "nb", "}", "Tc", "."));
  EXPECT_THAT(Shown("a {#- b -#} c"), ElementsAre("Ta", "Tc", "."));
}

TEST(LexerTest, RawTextIsText) {
  EXPECT_THAT(Shown("{% raw %}\n{{ x }}{% y %}{% endraw %}\nz"),
              ElementsAre("T\n{{ x }}{% y %}", "Tz", "."));
  EXPECT_THAT(Shown("a {%- raw -%} b {%- endraw -%} c"), ElementsAre("Ta", "Tb", "Tc", "."));
  EXPECT_THAT(Shown("{% rawer %}"), ElementsAre("[", "nrawer", "]", "."));
}

TEST(LexerTest, BracesInBracketsEndNoTag) {
  EXPECT_THAT(Shown("{{ {1:{2:3}} }}"),
              ElementsAre("{", "o{", "i1", "o:", "o{", "i2", "o:", "i3", "o}", "o}", "}", "."));
}

TEST(LexerTest, OperatorsAreAsLongAsTheyCanBe) {
  EXPECT_THAT(Shown("{{ a//b**c<=d!=e }}"),
              ElementsAre("{", "na", "o//", "nb", "o**", "nc", "o<=", "nd", "o!=", "ne", "}", "."));
}

TEST(LexerTest, NumbersAreReadAsPythonReadsThem) {
  EXPECT_THAT(Shown("{{ 1_0 0x1f 1.5 1e3 1.e 00 07 a.1.2 }}"),
              ElementsAre("{", "i1_0", "i0x1f", "f1.5", "f1e3", "i1", "o.", "ne", "i00", "i0", "i7",
                          "na", "o.", "i1", "o.", "i2", "}", "."));
  EXPECT_EQ(*IntegerOf("0b1_01"), 5);
  EXPECT_EQ(*IntegerOf("1_000"), 1000);
  EXPECT_FALSE(IntegerOf("9223372036854775808").ok());
  EXPECT_EQ(FloatOf("1_0.5e-1"), 1.05);
}

TEST(LexerTest, TokensKnowWhereTheyStand) {
  const auto tokens = Tokenize("\u00e9\n{{ ab }}");
  ASSERT_TRUE(tokens.ok());
  ASSERT_EQ(tokens->size(), 5);
  EXPECT_EQ((*tokens)[1].at, 3);
  EXPECT_EQ((*tokens)[2].at, 6);
}

}  // namespace
}  // namespace graft::templates
