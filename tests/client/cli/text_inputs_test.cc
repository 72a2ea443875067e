#include "client/cli/text_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace graft::cli {
namespace {

using testing::HasSubstr;

StatusOr<TextInputs> Read(const std::vector<std::string>& arguments, const std::string& in,
                          bool pair = false) {
  std::istringstream stream(in);
  return TextInputs::Read(arguments, pair, stream);
}

std::string Lines(int count, const std::string& end) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += "text " + std::to_string(i) + end;
  return text;
}

TEST(TextInputsTest, LinesAreTextsWhateverTheyEndWith) {
  for (const char* end : {"\n", "\r\n", "\r"}) {
    const auto inputs = Read({"first", "-"}, Lines(3, end));

    ASSERT_TRUE(inputs.ok()) << inputs.status();
    ASSERT_EQ(inputs->size(), 4U);
    EXPECT_EQ((*inputs)[0].text(), "first");
    EXPECT_EQ((*inputs)[3].text(), "text 3");
  }
}

TEST(TextInputsTest, ABlankLineIsRefusedBeforeAnyRequest) {
  const std::string text = Lines(270, "\r\n") + "\r\n" + Lines(3, "\r\n");

  const Status status = Read({"-"}, text).status();

  EXPECT_THAT(status.message(), HasSubstr("standard input, line 271: it is blank"));
}

TEST(TextInputsTest, AFaultOfALaterRequestIsToldAsTheUsersLine) {
  const auto inputs = Read({"one", "-"}, Lines(300, "\n"));
  ASSERT_TRUE(inputs.ok());

  const Status status = inputs->Locate(
      InvalidArgumentError("a text is too long").At("inputs[14].text", "TOO_LONG"), 256);

  EXPECT_EQ(status.message(), "line 270 of standard input: a text is too long");
  ASSERT_EQ(status.details().size(), 1U);
  EXPECT_EQ(status.details()[0].field, "inputs[270].text");
  EXPECT_EQ(status.details()[0].reason, "TOO_LONG");
  EXPECT_EQ(status.details()[0].message, status.message());
}

TEST(TextInputsTest, AnArgumentIsNamedByItsPlace) {
  const auto inputs = Read({"one", "two", "three", "four"}, "", true);
  ASSERT_TRUE(inputs.ok());
  EXPECT_EQ(inputs->size(), 2U);
  EXPECT_EQ((*inputs)[1].text_pair(), "four");

  EXPECT_EQ(inputs->Locate(InvalidArgumentError("empty").At("inputs[1].text_pair"), 0).message(),
            "text 3 and text 4: empty");
  const Status other = UnavailableError("no worker");
  EXPECT_EQ(inputs->Locate(other, 0), other);
  const Status beyond = InvalidArgumentError("odd").At("inputs[99].text");
  EXPECT_EQ(inputs->Locate(beyond, 0), beyond);
}

TEST(TextInputsTest, FaultsOfTheInputAreTheUsers) {
  EXPECT_THAT(Read({"-"}, "a\nb\xFF\n").status().message(), HasSubstr("line 2: byte 2"));
  EXPECT_THAT(Read({"a", "b\xFF"}, "").status().message(), HasSubstr("text 2 isn't UTF-8"));
  EXPECT_THAT(Read({"-"}, "").status().message(), HasSubstr("no text given"));
  EXPECT_THAT(Read({"a"}, "", true).status().message(), HasSubstr("even number"));
  EXPECT_THAT(Read({"-"}, "a\n" + std::string(4'000'001, 'b') + "\n").status().message(),
              HasSubstr("line 2 of standard input: 4000001 bytes, which is more than a request"));
}

}  // namespace
}  // namespace graft::cli
