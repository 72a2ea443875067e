/// The one reading of NAME=VALUE: JSON, or else a text.

#include "client/cli/template_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::cli {
namespace {

using ::testing::HasSubstr;

std::string Value(const std::string& written) {
  const auto variables = ReadTemplateVariables({"x=" + written});
  return variables.ok() ? variables->at("x") : variables.status().ToString();
}

TEST(TemplateVariablesTest, AValueIsJsonAsItWasWritten) {
  for (const char* json : {"false", "null", "-1.50", "18446744073709551615", "\"a\"", "[1, 2]",
                           R"({"b": 1, "a": {"c": []}})"}) {
    EXPECT_EQ(Value(json), json);
  }
}

TEST(TemplateVariablesTest, WhatIsNoJsonIsAText) {
  EXPECT_EQ(Value("short"), R"("short")");
  EXPECT_EQ(Value(""), R"("")");
  EXPECT_EQ(Value("a=b \"c\""), R"("a=b \"c\"")");
  EXPECT_EQ(Value("False"), R"("False")");
  EXPECT_EQ(Value("{torn"), R"("{torn")");
  EXPECT_EQ(Value("01"), R"("01")");
}

TEST(TemplateVariablesTest, ANameStandsOnceInFrontOfAnEqualsSign) {
  for (const std::vector<std::string>& pairs :
       std::vector<std::vector<std::string>>{{"x"}, {"=x"}, {"a=1", "b"}}) {
    EXPECT_THAT(ReadTemplateVariables(pairs).status().message(), HasSubstr("use NAME=VALUE"));
  }
  EXPECT_THAT(ReadTemplateVariables({"a=1", "b=1", "a=2"}).status().message(),
              HasSubstr("\"a\" is given twice"));
}

}  // namespace
}  // namespace graft::cli
