#include "common/tracing/trace_context.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::tracing {
namespace {

using ::testing::MatchesRegex;

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "b7ad6b7169203331";

std::string Parent(const std::string& version = "00", const std::string& flags = "01") {
  return version + "-" + kTrace + "-" + kSpan + "-" + flags;
}

TEST(TraceContextTest, ATraceparentIsReadAndWritten) {
  const SpanContext context = ParseTraceparent(Parent(), "vendor=opaque,other=1");
  EXPECT_EQ(context, (SpanContext{kTrace, kSpan, true, "vendor=opaque,other=1"}));
  EXPECT_EQ(Traceparent(context), Parent());
  EXPECT_EQ(Traceparent(ParseTraceparent(Parent("00", "00"))), Parent("00", "00"));
}

TEST(TraceContextTest, FlagsThatAreNotKnownAreNotPassedOn) {
  EXPECT_EQ(Traceparent(ParseTraceparent(Parent("00", "fe"))), Parent("00", "00"));
  EXPECT_EQ(Traceparent(ParseTraceparent(Parent("00", "03"))), Parent("00", "01"));
}

TEST(TraceContextTest, ALaterVersionMaySayMore) {
  EXPECT_TRUE(ParseTraceparent(Parent("cc")).valid());
  EXPECT_TRUE(ParseTraceparent(Parent("cc") + "-what-the-future-will-be").valid());
  EXPECT_EQ(Traceparent(ParseTraceparent(Parent("cc"))), Parent());
  EXPECT_FALSE(ParseTraceparent(Parent("cc") + "x").valid());
  EXPECT_FALSE(ParseTraceparent(Parent() + "-more").valid());
}

TEST(TraceContextTest, WhatIsMalformedIsNone) {
  const std::string good = Parent();
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(ParseTraceparent(good.substr(0, length)).valid()) << length;
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'g', 'A', ' ', '\0', '\xc3', '_'}) {
      std::string bad = good;
      bad[i] = c;
      EXPECT_FALSE(ParseTraceparent(bad).valid()) << bad;
    }
  }
  const std::string zeros(32, '0');
  EXPECT_FALSE(ParseTraceparent("00-" + zeros + "-" + kSpan + "-01").valid());
  EXPECT_FALSE(ParseTraceparent(std::string("00-") + kTrace + "-0000000000000000-01").valid());
  EXPECT_FALSE(ParseTraceparent(Parent("ff")).valid());
  EXPECT_EQ(Traceparent({}), "");
}

TEST(TraceContextTest, AStateThatCannotBePassedOnIsLeftOut) {
  EXPECT_EQ(ParseTraceparent(Parent(), std::string(511, 'a')).state.size(), 511U);
  EXPECT_EQ(ParseTraceparent(Parent(), std::string(600, 'a')).state, "");
  EXPECT_EQ(ParseTraceparent(Parent(), "a=1," + std::string(600, 'b')).state, "a=1");
  EXPECT_EQ(ParseTraceparent(Parent(), "a=1\r\nX-Injected: 1").state, "");
  EXPECT_TRUE(ParseTraceparent(Parent(), "\x01").valid());
}

TEST(TraceContextTest, BlanksAndEmptyEntriesOfAStateAreNoneOfIt) {
  EXPECT_EQ(ParseTraceparent(Parent(), "foo=1 \t , \t bar=2,,").state, "foo=1,bar=2");
  EXPECT_EQ(ParseTraceparent(Parent(), " \t").state, "");
}

TEST(TraceContextTest, TheIdsInATraceparent) {
  EXPECT_EQ(TraceIdIn(Parent()), kTrace);
  EXPECT_EQ(SpanIdIn(Parent()), kSpan);
  EXPECT_EQ(TraceIdIn(""), "");
  EXPECT_EQ(SpanIdIn("00-"), "");
}

TEST(TraceContextTest, NewIdsAreOfTheFormAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_THAT(NewTraceId(), MatchesRegex("[0-9a-f]{32}"));
    EXPECT_THAT(NewSpanId(), MatchesRegex("[0-9a-f]{16}"));
    ids.insert(NewTraceId());
    ids.insert(NewSpanId());
  }
  EXPECT_EQ(ids.size(), 2000U);
}

TEST(TraceContextTest, ANamedSpanHasOneIdEverywhere) {
  EXPECT_EQ(SpanIdOf("lease/default/x/3"), SpanIdOf("lease/default/x/3"));
  EXPECT_NE(SpanIdOf("lease/default/x/3"), SpanIdOf("lease/default/x/4"));
  EXPECT_THAT(SpanIdOf(""), MatchesRegex("[0-9a-f]{16}"));
}

}  // namespace
}  // namespace graft::tracing
