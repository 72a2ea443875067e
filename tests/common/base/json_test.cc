#include "common/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/utf8.h"

namespace graft {
namespace {

using testing::HasSubstr;

Status Refusal(std::string_view text, const JsonLimits& limits = {}) {
  return ParseJson(text, "file.json", limits).status();
}

std::string Nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

TEST(ParseJsonTest, ReadsEachKindOfValue) {
  const auto json = ParseJson(R"( {"a":[1,-2,2.5,true,null,"\u00e9"]} )", "file.json");

  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->dump(), "{\"a\":[1,-2,2.5,true,null,\"\xC3\xA9\"]}");
}

TEST(ParseJsonTest, KeepsNumbersExact) {
  const auto json = ParseJson("[18446744073709551615,-9223372036854775808,1e-5]", "file.json");

  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)[0].get<uint64_t>(), UINT64_MAX);
  EXPECT_EQ((*json)[1].get<int64_t>(), INT64_MIN);
  EXPECT_EQ((*json)[2].get<double>(), 1e-5);
}

TEST(ParseJsonTest, SkipsAByteOrderMark) { EXPECT_TRUE(Refusal("\xEF\xBB\xBF{}").ok()); }

TEST(ParseJsonTest, RefusesMalformedTextWithFileAndByte) {
  const Status status = Refusal(R"({"a":1,})");

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "file.json: not valid JSON at byte 8");
}

TEST(ParseJsonTest, RefusesWhatIsNoJson) {
  for (const std::string_view text :
       {"",    " ",        "{",       "[1",          "{\"a\"}", "{a:1}", "{} {}",
        "{}x", "// c\n{}", "NaN",     "Infinity",    "[1,]",    "'a'",   "01",
        "+1",  "\"\n\"",   "\"\\x\"", "\"\\ud800\"", "1e999",   "tru"}) {
    EXPECT_EQ(Refusal(text).code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseJsonTest, NumbersThatOnlyPythonWritesAreNamed) {
  for (const char* text : {R"({"a": NaN})", R"([1, Infinity])", R"({"a": -Infinity})"}) {
    EXPECT_THAT(Refusal(text).message(), HasSubstr("NaN or Infinity, which Python writes")) << text;
  }
  for (const char* text : {R"({"a": "\ud83d"})", R"(["x\ude00"])", R"(["\ud83dx"])"})
    EXPECT_THAT(Refusal(text).message(), HasSubstr("half a character (a lone surrogate)")) << text;
  EXPECT_THAT(Refusal(R"({"text": "the surrogate U+ mother)").message(),
              testing::Not(HasSubstr("half a character")));
  for (const char* text : {"[1e400]", R"({"a": -1e999})"})
    EXPECT_THAT(Refusal(text).message(), HasSubstr("a number is too large")) << text;
}

TEST(ParseJsonTest, RefusesBytesThatAreNotUtf8) {
  for (const std::string_view text :
       {"\"\xFF\"", "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xE2\x82\"", "{\"\xFE\":1}"}) {
    const Status status = Refusal(text);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(FirstInvalidUtf8(status.message()), std::string::npos);
  }
}

// The parser below takes a NUL for the end of the text.
TEST(ParseJsonTest, RefusesANulWhereverItStands) {
  for (const std::string_view text : {std::string_view("{}\0", 3), std::string_view("{}\0junk", 7),
                                      std::string_view("\0{}", 3), std::string_view("\"\0\"", 3)}) {
    EXPECT_EQ(Refusal(text).code(), StatusCode::kInvalidArgument);
  }
}

TEST(ParseJsonTest, RefusesADuplicateKeyAtAnyDepth) {
  EXPECT_EQ(Refusal(R"({"rank":1,"rank":2})").message(),
            "file.json: the key \"rank\" stands twice in one object");
  EXPECT_FALSE(Refusal(R"([{"x":{"a":1,"b":{},"a":2}}])").ok());
  EXPECT_FALSE(Refusal(R"({"a":1,"\u0061":2})").ok());
}

TEST(ParseJsonTest, OneKeyInTwoObjectsIsFine) {
  EXPECT_TRUE(Refusal(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").ok());
}

TEST(ParseJsonTest, ADuplicateKeysNameIsShownSafely) {
  const std::string key = "\\n" + std::string(1000, 'k');

  const Status status = Refusal("{\"" + key + "\":1,\"" + key + "\":2}");

  EXPECT_THAT(status.message(), HasSubstr("\"\\nkkk"));
  EXPECT_LT(status.message().size(), 200U);
}

TEST(ParseJsonTest, DepthIsBounded) {
  EXPECT_TRUE(Refusal(Nested(64)).ok());
  EXPECT_THAT(Refusal(Nested(65)).message(), HasSubstr("nested deeper than 64 levels"));
  EXPECT_FALSE(Refusal(Nested(1'000'000)).ok());
  EXPECT_FALSE(Refusal(R"({"a":{"b":{}}})", {.max_depth = 2}).ok());
  EXPECT_TRUE(Refusal(R"({"a":{"b":0}})", {.max_depth = 2}).ok());
}

TEST(ParseJsonTest, SizeIsBounded) {
  EXPECT_TRUE(Refusal("[1234]", {.max_bytes = 6}).ok());
  EXPECT_EQ(Refusal("[12345]", {.max_bytes = 6}).message(),
            "file.json: 7 bytes of JSON, the limit is 6");
}

TEST(ParseJsonTest, NumberOfValuesIsBounded) {
  EXPECT_TRUE(Refusal(R"([1,"a",{"b":null}])", {.max_values = 5}).ok());
  EXPECT_EQ(Refusal(R"([1,"a",{"b":null}])", {.max_values = 4}).message(),
            "file.json: more than 4 values");
  EXPECT_FALSE(Refusal("[[],[],[]]", {.max_values = 3}).ok());
}

TEST(ParseOrderedJsonTest, KeysStayInTheOrderOfTheText) {
  const auto json = ParseOrderedJson(R"({"b":1,"a":{"d":[],"c":1.0}})", "file.json");

  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->dump(), R"({"b":1,"a":{"d":[],"c":1.0}})");
}

TEST(ParseOrderedJsonTest, WholeNumbersStayWhole) {
  EXPECT_EQ(ParseOrderedJson("[18446744073709551615,-1,1e30]", "file.json")->dump(),
            "[18446744073709551615,-1,1e+30]");
  EXPECT_EQ(ParseOrderedJson("[18446744073709551616]", "file.json").status().message(),
            "file.json: the number 18446744073709551616 doesn't fit in 64 bits");
}

TEST(ParseOrderedJsonTest, WhatParseJsonRefusesIsRefused) {
  EXPECT_FALSE(ParseOrderedJson(R"({"a":1,"a":2})", "file.json").ok());
  EXPECT_FALSE(ParseOrderedJson("[1,", "file.json").ok());
  EXPECT_FALSE(ParseOrderedJson("[[[]]]", "file.json", {.max_depth = 2}).ok());
}

}  // namespace
}  // namespace graft
