#include "common/methods/module_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace graft::methods {
namespace {

using testing::HasSubstr;

constexpr const char* kQuery = "bert.encoder.layer.10.attention.self.query";

bool Matches(const std::string& pattern, const std::string& text) {
  const auto parsed = ModulePattern::Parse(pattern, "target_modules");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->Matches(text);
}

TEST(ModulePatternTest, AllOfThePathMustMatch) {
  EXPECT_TRUE(Matches(".*query", kQuery));
  EXPECT_FALSE(Matches("query", kQuery));
  EXPECT_FALSE(Matches(".*que", kQuery));
  EXPECT_TRUE(Matches("", ""));
  EXPECT_FALSE(Matches("", "x"));
}

TEST(ModulePatternTest, ReadsWhatPeopleWrite) {
  for (const char* pattern :
       {R"(.*\.(query|value))", R"(bert\.encoder\.layer\.(?:9|10|11)\..*query)",
        R"(.*layer\.\d+\..*[qk]uery$)", R"(^bert.*\.attention\.self\.[a-z]+)",
        R"(.*?layer\.(?P<n>1[0-9])\..*?(key|query))", R"([^ ]{5,}\.query)",
        R"((bert|distilbert)(\.\w+){5}\.query)", R"(.*\bquery\b)", R"((.*\.)?(query)$)",
        R"([\w.]+)", R"(.*query|nothing)", R"(bert(x{0}).*)", R"([]b]ert.*)"}) {
    EXPECT_TRUE(Matches(pattern, kQuery)) << pattern;
  }
  for (const char* pattern :
       {R"(.*\.(key|value))", R"(bert\.encoder\.layer\.[0-9]\..*)", R"(.*[^y])", R"(.*x{1,3})",
        R"(.*\Bquery)", R"(.*layer\.\D+\.query)"}) {
    EXPECT_FALSE(Matches(pattern, kQuery)) << pattern;
  }
}

TEST(ModulePatternTest, CountsAreWrittenOut) {
  EXPECT_TRUE(Matches("a{2,3}", "aa"));
  EXPECT_TRUE(Matches("a{2,3}", "aaa"));
  EXPECT_FALSE(Matches("a{2,3}", "aaaa"));
  EXPECT_FALSE(Matches("a{2,3}", "a"));
  EXPECT_TRUE(Matches("(ab){2,}", "ababab"));
  EXPECT_TRUE(Matches("a{,2}b", "b"));
  EXPECT_TRUE(Matches("a{x}", "a{x}"));
}

TEST(ModulePatternTest, WhatBacktrackersDrownInTakesNoTime) {
  EXPECT_FALSE(Matches("(a*)*b", std::string(5000, 'a')));
  EXPECT_FALSE(Matches("(a|aa)+$x", std::string(5000, 'a')));
  EXPECT_FALSE(Matches("(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", std::string(5000, 'a')));
}

TEST(ModulePatternTest, WhatItDoesntReadIsNamed) {
  for (const auto& [pattern, part] : {std::pair{"(?!x).*", "look-around"},
                                      {"(?<=x).*", "look-around"},
                                      {R"((a)\1)", "a reference to a group"},
                                      {"(?i)query", "inline flags"},
                                      {R"(\p{L})", "the escape \\p"},
                                      {"a++", "a possessive repetition"}}) {
    const Status status = ModulePattern::Parse(pattern, "target_modules").status();
    EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << pattern;
    EXPECT_THAT(status.message(), HasSubstr(part)) << pattern;
  }
}

TEST(ModulePatternTest, AMalformedOrHugePatternIsRefused) {
  for (const std::string& pattern :
       {std::string("(a"), std::string("a)"), std::string("[a"), std::string("*"),
        std::string("a**"), std::string("\\"), std::string("[b-a]"), std::string("a{3,2}"),
        std::string("a{2000}"), std::string(5000, 'a'),
        std::string(100, '(') + std::string(100, ')'), std::string("((a{999}){999}){999}")}) {
    EXPECT_EQ(ModulePattern::Parse(pattern, "x").status().code(), StatusCode::kInvalidArgument)
        << pattern.substr(0, 40);
  }
}

}  // namespace
}  // namespace graft::methods
