#include "server/http/target.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ParseTargetTest, APathIsItsDecodedSegments) {
  struct Row {
    const char* text;
    std::vector<std::string> segments;
  };
  for (const Row& row :
       {Row{"/", {}}, Row{"/v1", {"v1"}}, Row{"/v1/models", {"v1", "models"}},
        Row{"/a%2Fb/c", {"a/b", "c"}}, Row{"/a%2fb", {"a/b"}}, Row{"/a+b", {"a+b"}},
        Row{"/a%20b", {"a b"}}, Row{"/%41", {"A"}}, Row{"/support@3", {"support@3"}},
        Row{"/%C3%A9", {"\xc3\xa9"}}, Row{"/\xc3\xa9", {"\xc3\xa9"}}, Row{"/...", {"..."}},
        Row{"/%252e%252e", {"%2e%2e"}}, Row{"/a%3Fb", {"a?b"}}, Row{"/a;b=c", {"a;b=c"}}}) {
    const StatusOr<Target> target = ParseTarget(row.text);

    ASSERT_TRUE(target.ok()) << row.text << target.status();
    EXPECT_EQ(target->segments, row.segments);
    EXPECT_THAT(target->query, IsEmpty());
  }
}

TEST(ParseTargetTest, AQueryIsReadAsFormsWriteIt) {
  const StatusOr<Target> fine = ParseTarget("/x?a=1&b=+%2B&c&=e&&d=x=y?z/%3D&%66=%C3%A9&g=");

  ASSERT_TRUE(fine.ok()) << fine.status();
  EXPECT_THAT(fine->query,
              ElementsAre(Pair("", "e"), Pair("a", "1"), Pair("b", " +"), Pair("c", ""),
                          Pair("d", "x=y?z/="), Pair("f", "\xc3\xa9"), Pair("g", "")));
}

TEST(ParseTargetTest, AnEmptyQueryIsNone) {
  const StatusOr<Target> target = ParseTarget("/x?");

  ASSERT_TRUE(target.ok());
  EXPECT_THAT(target->query, IsEmpty());
}

TEST(ParseTargetTest, WhatReadersCouldDifferInIsRefused) {
  for (const std::string text :
       {"/a%",    "/a%2",   "/a%zz",   "/a%2g",      "/a%-1",    "/%00",       "/a%00b",
        "/%ff",   "/%C3",   "/%C0%AE", "/%ED%A0%80", "//",       "//a",        "/a//b",
        "/a/",    "/.",     "/..",     "/a/../b",    "/%2e%2E",  "/.%2e",      "/a#b",
        "/a?b#c", "/x?a=%", "/x?%=a",  "/x?a=%ff",   "/x?a=%00", "/x?a=1&a=2", "/x?a=1&%61=1"}) {
    const StatusOr<Target> target = ParseTarget(text);

    EXPECT_EQ(target.status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseTargetTest, AQueryHasUpTo64Parameters) {
  std::string text = "/x?a0=";
  for (int i = 1; i < 64; ++i) text += fmt::format("&a{}=", i);

  EXPECT_TRUE(ParseTarget(text).ok());
  EXPECT_EQ(ParseTarget(text + "&one_more=").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace graft::server::http
