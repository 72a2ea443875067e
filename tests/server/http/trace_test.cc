/// W3C Trace Context over HTTP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_fixture.h"

namespace graft::server::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "b7ad6b7169203331";

std::string Parent() { return std::string("00-") + kTrace + "-" + kSpan + "-01"; }

/// Of an answer's head.
std::string TraceparentOf(const RawClient::Response& response) {
  const std::string name = "traceparent: ";
  const size_t at = response.head.find(name);
  if (at == std::string::npos) return {};
  return response.head.substr(at + name.size(), response.head.find("\r\n", at) - at - name.size());
}

class HttpTraceTest : public HttpFixture {};

TEST_F(HttpTraceTest, ARequestIsBelowItsClientsSpanAndTheAnswerSaysWhere) {
  const auto response =
      Ask(Get("/hello", "Traceparent: " + Parent() + "\r\ntracestate: a=1\r\nTraceState: b=2\r\n"));

  const auto span = sink_->Find("Test.Small");
  ASSERT_TRUE(span.has_value());
  EXPECT_EQ(span->context.trace_id, kTrace);
  EXPECT_EQ(span->parent_id, kSpan);
  EXPECT_EQ(span->context.state, "a=1,b=2");
  EXPECT_EQ(TraceparentOf(response), tracing::Traceparent(span->context));
}

TEST_F(HttpTraceTest, AStreamsHeadSaysItToo) {
  const auto response = Ask(Get("/events", "traceparent: " + Parent() + "\r\n"));
  EXPECT_THAT(TraceparentOf(response), HasSubstr(kTrace));
}

TEST_F(HttpTraceTest, AnErrorSaysItToo) {
  const auto response = Ask(Get("/throw", "traceparent: " + Parent() + "\r\n"));
  EXPECT_EQ(response.status, 500);
  EXPECT_THAT(TraceparentOf(response), HasSubstr(kTrace));
}

TEST_F(HttpTraceTest, WhatIsMalformedOrSaidTwiceBeginsATraceAnew) {
  for (const std::string& fields :
       {std::string("traceparent: 00-x\r\n"), std::string("traceparent: \r\n"),
        "traceparent: " + Parent() + "\r\ntraceparent: " + Parent() + "\r\n", std::string()}) {
    const auto response = Ask(Get("/hello", fields));
    EXPECT_EQ(response.status, 200);
    EXPECT_THAT(TraceparentOf(response), Not(HasSubstr(kTrace)));
    EXPECT_TRUE(tracing::ParseTraceparent(TraceparentOf(response)).valid()) << response.head;
    EXPECT_EQ(sink_->Find("Test.Small")->parent_id, "");
  }
}

TEST_F(HttpTraceTest, ARequestThatIsNoCallIsInNoTrace) {
  const auto response = Ask(Get("/nothing", "traceparent: " + Parent() + "\r\n"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(TraceparentOf(response), "");
}

TEST_F(HttpTraceTest, TheNextRequestOfAConnectionIsInItsOwnTrace) {
  RawClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/hello", "traceparent: " + Parent() + "\r\n") + Get("/hello")));
  EXPECT_THAT(TraceparentOf(client.Read()), HasSubstr(kTrace));
  EXPECT_THAT(TraceparentOf(client.Read()), Not(HasSubstr(kTrace)));
}

}  // namespace
}  // namespace graft::server::http
