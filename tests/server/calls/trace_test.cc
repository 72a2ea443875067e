/// Calls as spans.

#include <future>
#include <stdexcept>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/calls/chain.h"
#include "tests/server/support/recording_probe.h"
#include "tests/support/recording_sink.h"

namespace graft::server::calls {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const tracing::SpanContext kCaller = {std::string(32, 'a'), std::string(16, 'b'), true, ""};

class TraceTest : public ::testing::Test {
 protected:
  ~TraceTest() override { runtime_.Stop(); }

  Status Run(CallHost& host, const CallOptions& options, CallState::Body body,
             Arrival arrival = {}) {
    std::promise<Status> end;
    std::make_shared<CallState>(host, options, std::move(arrival))
        ->Start(std::move(body), [&end](Status status) { end.set_value(std::move(status)); });
    return end.get_future().get();
  }
  Status Run(CallState::Body body, Arrival arrival = {}) {
    return Run(host_, plain_, std::move(body), std::move(arrival));
  }
  static CallState::Body Ends(Status status) {
    return [status](CallContext&) -> Awaitable<Status> { co_return status; };
  }
  static std::string Attribute(const tracing::Span& span, const std::string& name) {
    for (const tracing::Attribute& attribute : span.attributes) {
      if (attribute.name == name) return std::get<std::string>(attribute.value);
    }
    return {};
  }

  Runtime runtime_;
  RecordingProbe probe_;
  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  CallHost host_{runtime_, probe_, MakeChain({}), tracing::Tracer(sink_, {})};
  CallHost untraced_{runtime_, probe_, MakeChain({})};
  const CallOptions plain_{.rpc = "Test.Plain"};
  const CallOptions joins_{.rpc = "Test.Joins", .traced = Traced::kInTraces};
};

TEST_F(TraceTest, ACallIsASpanBelowItsCallers) {
  Arrival arrival;
  arrival.protocol = Protocol::kHttp;
  arrival.request_id = "req_1";
  arrival.http_method = "GET";
  arrival.http_route = "/v1/jobs/{job}";
  arrival.trace = kCaller;
  tracing::SpanContext seen;
  const auto look = [&](CallContext& call) -> Awaitable<Status> {
    seen = call.span.context();
    call.span.AddEvent("half");
    co_return OkStatus();
  };
  EXPECT_TRUE(Run(look, arrival).ok());

  ASSERT_THAT(sink_->spans(), SizeIs(1));
  const tracing::Span span = sink_->spans()[0];
  EXPECT_EQ(span.name, "Test.Plain");
  EXPECT_EQ(span.kind, tracing::SpanKind::kServer);
  EXPECT_EQ(span.parent_id, kCaller.span_id);
  EXPECT_EQ(span.context, seen);
  EXPECT_EQ(span.context.trace_id, kCaller.trace_id);
  EXPECT_EQ(Attribute(span, "http.route"), "/v1/jobs/{job}");
  EXPECT_EQ(Attribute(span, "rpc.system"), "");
  EXPECT_EQ(Attribute(span, "graft.request_id"), "req_1");
  EXPECT_EQ(Attribute(span, "graft.status"), "OK");
  EXPECT_THAT(span.events, SizeIs(1));
}

TEST_F(TraceTest, ACallByGrpcNamesItsMethod) {
  EXPECT_TRUE(Run(Ends(OkStatus())).ok());
  EXPECT_EQ(Attribute(sink_->spans().at(0), "rpc.system"), "grpc");
  EXPECT_EQ(Attribute(sink_->spans().at(0), "rpc.service"), "Test");
  EXPECT_EQ(Attribute(sink_->spans().at(0), "rpc.method"), "Plain");
}

TEST_F(TraceTest, OnlyTheServersFaultsAreFailures) {
  EXPECT_FALSE(Run(Ends(NotFoundError("no such job"))).ok());
  EXPECT_FALSE(sink_->spans().back().has_failed);
  EXPECT_EQ(Attribute(sink_->spans().back(), "graft.status"), "NOT_FOUND");

  EXPECT_FALSE(Run(Ends(UnavailableError("no worker"))).ok());
  EXPECT_TRUE(sink_->spans().back().has_failed);
  EXPECT_EQ(sink_->spans().back().message, "no worker");
}

TEST_F(TraceTest, AnUnexpectedFaultIsToldAsItsCallerReadsIt) {
  const auto fail = [](CallContext&) -> Awaitable<Status> {
    throw std::runtime_error("a secret");
    co_return OkStatus();
  };
  Arrival arrival;
  arrival.request_id = "req_7";
  const Status status = Run(fail, arrival);

  ASSERT_THAT(sink_->spans(), SizeIs(1));
  EXPECT_EQ(sink_->spans()[0].message, status.message());
  EXPECT_EQ(sink_->spans()[0].message.find("secret"), std::string::npos);
}

TEST_F(TraceTest, ACallThatIsRefusedIsASpanToo) {
  const CallOptions workers{.rpc = "Test.Worker", .role = Role::kWorker};
  EXPECT_FALSE(Run(host_, workers, Ends(OkStatus())).ok());
  EXPECT_EQ(sink_->spans().at(0).name, "Test.Worker");
}

TEST_F(TraceTest, WhatComesByItselfIsASpanOnlyOfACallersTrace) {
  EXPECT_TRUE(Run(host_, joins_, Ends(OkStatus())).ok());
  EXPECT_THAT(sink_->spans(), IsEmpty());
  Arrival arrival;
  arrival.trace = kCaller;
  EXPECT_TRUE(Run(host_, joins_, Ends(OkStatus()), arrival).ok());
  EXPECT_THAT(sink_->spans(), SizeIs(1));
}

TEST_F(TraceTest, WithoutACollectorTheCallersTraceIsPassedOn) {
  Arrival arrival;
  arrival.trace = kCaller;
  const CallState passing(untraced_, plain_, arrival);
  EXPECT_EQ(passing.trace(), kCaller);
  const CallState none(untraced_, plain_, {});
  EXPECT_FALSE(none.trace().valid());
}

}  // namespace
}  // namespace graft::server::calls
