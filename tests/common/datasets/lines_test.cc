#include "common/datasets/lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/datasets/data_files.h"

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

std::string Read(const std::string& bytes) {
  const auto lines = ReadLines(std::make_unique<PiecewiseSource>(bytes, 3));
  if (!lines.ok()) return "!" + lines.status().message();
  std::string text;
  for (const Line& line : *lines) text += std::to_string(line.number) + ":" + line.text + ";";
  return text;
}

TEST(LinesTest, LineEndsAreOne) {
  for (const char* text : {"a b\nc\n", "a b\r\nc\r\n", "a b\rc\r", "a b\nc",
                           "\xEF\xBB\xBF"
                           "a b\nc\n\n",
                           "a b\r\nc\r\n\r\n \r\n"}) {
    EXPECT_EQ(Read(text), "1:a b;2:c;") << text;
  }
  EXPECT_EQ(Read(Utf16("a b\r\nc\r\n", false, true)), "1:a b;2:c;");
  EXPECT_EQ(Read(Gzip("a b\nc\n")), "1:a b;2:c;");
  EXPECT_EQ(Read(""), "");
}

TEST(LinesTest, ABlankLineIsNamedAlikeWhateverTheLineEnds) {
  EXPECT_THAT(Read("a\n\nb\n"), HasSubstr("!line 2: it is blank"));
  EXPECT_THAT(Read("a\r\n\r\nb\r\n"), HasSubstr("!line 2: it is blank"));
  EXPECT_THAT(Read("a\n\xC2\xA0\nb\n"), HasSubstr("!line 2: it is blank"));
  EXPECT_THAT(Read("\n\nb\n"), HasSubstr("!line 1: it is blank"));
}

TEST(LinesTest, FaultsNameTheLine) {
  EXPECT_THAT(Read("a\nb\xFF\n"), HasSubstr("!line 2: byte 2 of the line (0xFF) isn't UTF-8"));
  EXPECT_THAT(Read(Literal({"a\0\n", 3})), HasSubstr("zero byte"));
}

}  // namespace
}  // namespace graft::datasets
