#include "common/otlp/otlp_json.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::otlp {
namespace {

Json Parsed(const std::vector<tracing::Span>& spans) {
  const std::string text = ToOtlpJson({{"service.name", std::string("graft-test")}}, spans);
  EXPECT_EQ(FirstInvalidUtf8(text), std::string_view::npos);
  return *ParseJson(text, "the request");
}

TEST(OtlpJsonTest, ASpanHasEachFieldInItsForm) {
  tracing::Span span;
  span.context = {std::string(32, 'a'), std::string(16, 'b'), true, "vendor=1"};
  span.parent_id = std::string(16, 'c');
  span.name = "work";
  span.kind = tracing::SpanKind::kServer;
  span.start = 1'700'000'000'123'456'789;
  span.end = span.start + 1;
  span.Set("text", std::string("x"));
  span.Set("count", int64_t{1} << 60);
  span.Set("loss", 0.5);
  span.Set("nan", std::nan(""));
  span.Set("live", true);
  span.events.push_back({span.start, "first token"});
  span.links.push_back({std::string(32, 'd'), std::string(16, 'e'), false, ""});
  span.Fail(InternalError("broken"));

  const Json request = Parsed({span});
  const Json& of_resource = request["resourceSpans"].at(0);
  EXPECT_EQ(of_resource["resource"]["attributes"],
            Json::parse(R"([{"key":"service.name","value":{"stringValue":"graft-test"}}])"));
  EXPECT_EQ(of_resource["scopeSpans"].at(0)["scope"]["name"], "graft");
  EXPECT_EQ(of_resource["scopeSpans"].at(0)["spans"].at(0), Json::parse(R"({
    "traceId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","spanId":"bbbbbbbbbbbbbbbb","traceState":"vendor=1","flags":1,
    "parentSpanId":"cccccccccccccccc","name":"work","kind":2,
    "startTimeUnixNano":"1700000000123456789","endTimeUnixNano":"1700000000123456790",
    "attributes":[{"key":"text","value":{"stringValue":"x"}},
                  {"key":"count","value":{"intValue":"1152921504606846976"}},
                  {"key":"loss","value":{"doubleValue":0.5}},{"key":"nan","value":{"doubleValue":"NaN"}},
                  {"key":"live","value":{"boolValue":true}}],
    "events":[{"timeUnixNano":"1700000000123456789","name":"first token"}],
    "links":[{"traceId":"dddddddddddddddddddddddddddddddd","spanId":"eeeeeeeeeeeeeeee","flags":0}],
    "status":{"code":2,"message":"broken"}})"));
}

TEST(OtlpJsonTest, TextThatIsNoUtf8DoesNotBreakABatch) {
  tracing::Span span;
  span.name = "w\xff";
  span.Set("a", std::string("\xc3"));
  const Json one =
      Parsed({span, tracing::Span()})["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"];
  EXPECT_EQ(one.size(), 2U);
  EXPECT_EQ(one.at(0)["name"], "w\xef\xbf\xbd");
}

TEST(OtlpJsonTest, WhatACollectorRefusedIsRead) {
  const Refused some = RefusedOf(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}})");
  EXPECT_EQ(some.spans, 3);
  EXPECT_EQ(some.why, "no");
  EXPECT_EQ(RefusedOf(R"({"partialSuccess":{"rejectedSpans":2}})").spans, 2);
  for (const char* nothing :
       {"", "{}", "x", "[]", "{\"partialSuccess\":null}", "{\"partialSuccess\":{}}",
        "{\"partialSuccess\":{\"rejectedSpans\":[]}}"})
    EXPECT_EQ(RefusedOf(nothing).spans, 0) << nothing;
}

}  // namespace
}  // namespace graft::otlp
