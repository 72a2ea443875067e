#include "common/tracing/tracer.h"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/recording_sink.h"

namespace graft::tracing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const SpanContext kCaller = {std::string(32, 'a'), std::string(16, 'b'), true, "vendor=1"};

class TracerTest : public ::testing::Test {
 protected:
  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  const Tracer tracer_{sink_, {}};
};

TEST_F(TracerTest, ASpanIsBelowItsParentAndIsToldOnceItEnds) {
  {
    ActiveSpan span = tracer_.Start("work", kCaller, SpanKind::kServer);
    span.Set("n", int64_t{3});
    span.AddEvent("half");
    span.AddLink({std::string(32, 'c'), std::string(16, 'd'), true, ""});
    span.AddLink({});
    span.Fail(OkStatus());
    EXPECT_THAT(sink_->spans(), IsEmpty());
    EXPECT_NE(span.context().span_id, kCaller.span_id);
    EXPECT_EQ(span.context().trace_id, kCaller.trace_id);
    EXPECT_EQ(span.context().state, "vendor=1");
  }
  ASSERT_THAT(sink_->spans(), SizeIs(1));
  const Span span = sink_->spans()[0];
  EXPECT_EQ(span.parent_id, kCaller.span_id);
  EXPECT_EQ(span.kind, SpanKind::kServer);
  EXPECT_GT(span.start, 1'700'000'000'000'000'000);
  EXPECT_GE(span.end, span.start);
  EXPECT_EQ(std::get<int64_t>(span.attributes.at(0).value), 3);
  EXPECT_EQ(span.events.at(0).name, "half");
  EXPECT_THAT(span.links, SizeIs(1));
  EXPECT_FALSE(span.has_failed);
}

TEST_F(TracerTest, AnAttributeIsThereOnceAndEventsHaveAnEnd) {
  {
    ActiveSpan span = tracer_.Start("work", kCaller);
    span.Set("n", int64_t{1});
    span.Set("n", int64_t{2});
    for (int i = 0; i < 130; ++i) span.AddEvent("again");
    span.AddLink(kCaller);
    span.AddLink(kCaller);
  }
  const Span span = sink_->spans().at(0);
  ASSERT_THAT(span.attributes, SizeIs(1));
  EXPECT_EQ(std::get<int64_t>(span.attributes[0].value), 2);
  EXPECT_THAT(span.events, SizeIs(128));
  EXPECT_EQ(span.dropped_events, 2);
  EXPECT_THAT(span.links, SizeIs(1));
}

TEST_F(TracerTest, AChildIsRecordedWhereItsParentIs) {
  {
    const ActiveSpan parent = tracer_.Start("work", kCaller);
    const ActiveSpan child = parent.StartChild("part", SpanKind::kClient);
    EXPECT_NE(child.context().span_id, parent.context().span_id);
    EXPECT_EQ(child.context().trace_id, kCaller.trace_id);
  }
  ASSERT_THAT(sink_->spans(), SizeIs(2));
  EXPECT_EQ(sink_->spans()[0].parent_id, sink_->spans()[1].context.span_id);
  EXPECT_EQ(sink_->spans()[0].kind, SpanKind::kClient);
  EXPECT_EQ(Tracer().Start("work", kCaller).StartChild("part").context(), kCaller);
}

TEST_F(TracerTest, ACallEndsWithItsStatusAndFailsByTheServersFaultAlone) {
  tracer_.Start("a", kCaller).EndWith(NotFoundError("no such job"));
  tracer_.Start("b", kCaller).EndWith(InternalError("broken"));
  tracer_.Start("c", kCaller).Discard();
  ASSERT_THAT(sink_->spans(), SizeIs(2));
  EXPECT_FALSE(sink_->spans()[0].has_failed);
  EXPECT_EQ(std::get<std::string>(sink_->spans()[0].attributes.at(0).value), "NOT_FOUND");
  EXPECT_TRUE(sink_->spans()[1].has_failed);
}

TEST_F(TracerTest, EachEndIsToldOnce) {
  ActiveSpan span = tracer_.Start("work", {});
  span.Fail(UnavailableError("gone"));
  ActiveSpan other = std::move(span);
  other.End();
  other.End();
  other = ActiveSpan();
  ASSERT_THAT(sink_->spans(), SizeIs(1));
  EXPECT_TRUE(sink_->spans()[0].has_failed);
  EXPECT_EQ(sink_->spans()[0].message, "gone");
}

TEST_F(TracerTest, AnAssignedSpanEndsTheOneBefore) {
  ActiveSpan span = tracer_.Start("first", {});
  span = tracer_.Start("second", {});
  ASSERT_THAT(sink_->spans(), SizeIs(1));
  EXPECT_EQ(sink_->spans()[0].name, "first");
}

TEST_F(TracerTest, WithoutAParentATraceBeginsUnlessItIsOnlyToBeFollowed) {
  const ActiveSpan span = tracer_.Start("work", {});
  EXPECT_TRUE(span.context().valid());
  EXPECT_TRUE(span.is_recorded());
  EXPECT_FALSE(tracer_.StartBelow("work", {}).context().valid());
}

TEST_F(TracerTest, ATracerThatIsOffPassesOnWhatCame) {
  const Tracer off;
  EXPECT_EQ(off.Start("work", kCaller).context(), kCaller);
  EXPECT_FALSE(off.Start("work", {}).context().valid());
  off.Record({.name = "work"}, kCaller);
}

TEST_F(TracerTest, WhatItsCallerDoesNotRecordIsNotRecorded) {
  SpanContext caller = kCaller;
  caller.is_sampled = false;
  {
    ActiveSpan span = tracer_.Start("work", caller);
    EXPECT_FALSE(span.is_recorded());
    EXPECT_EQ(span.context().trace_id, caller.trace_id);
    EXPECT_FALSE(span.context().is_sampled);
    span.Set("n", true);
    span.AddEvent("half");
    tracer_.Record({.name = "past"}, span.context());
  }
  EXPECT_THAT(sink_->spans(), IsEmpty());
}

TEST_F(TracerTest, APastSpanIsRecordedUnderItsOwnIdOrANewOne) {
  Span named{.context = {.span_id = "1234567812345678"}, .name = "named", .start = 5, .end = 7};
  tracer_.Record(named, kCaller);
  tracer_.Record({.name = "other"}, kCaller);
  tracer_.Record({.name = "in no trace"}, {});
  ASSERT_THAT(sink_->spans(), SizeIs(2));
  EXPECT_EQ(sink_->spans()[0].context.span_id, "1234567812345678");
  EXPECT_EQ(sink_->spans()[0].context.trace_id, kCaller.trace_id);
  EXPECT_EQ(sink_->spans()[0].parent_id, kCaller.span_id);
  EXPECT_EQ(sink_->spans()[0].start, 5);
  EXPECT_THAT(sink_->spans()[1].context.span_id, SizeIs(16));
}

TEST(SamplerTest, ARatioOfTheTracesIsTakenTheSameOnesByAll) {
  const Sampler half{.follows_parent = true, .ratio = 0.5};
  int taken = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string id = NewTraceId();
    EXPECT_EQ(half.Samples({}, id),
              (Sampler{.follows_parent = false, .ratio = 0.5}.Samples({}, id)));
    taken += half.Samples({}, id) ? 1 : 0;
  }
  EXPECT_GT(taken, 1800);
  EXPECT_LT(taken, 2200);
  EXPECT_FALSE((Sampler{.ratio = 0}.Samples({}, std::string(32, '0'))));
  EXPECT_TRUE((Sampler{.ratio = 1}.Samples({}, std::string(32, 'f'))));
}

TEST(SamplerTest, AParentDecidesOnlyForThoseThatFollowIt) {
  SpanContext caller = kCaller;
  EXPECT_TRUE((Sampler{.follows_parent = true, .ratio = 0}.Samples(caller, caller.trace_id)));
  EXPECT_FALSE((Sampler{.follows_parent = false, .ratio = 0}.Samples(caller, caller.trace_id)));
  caller.is_sampled = false;
  EXPECT_FALSE((Sampler{.follows_parent = true, .ratio = 1}.Samples(caller, caller.trace_id)));
  EXPECT_TRUE((Sampler{.follows_parent = false, .ratio = 1}.Samples(caller, caller.trace_id)));
}

}  // namespace
}  // namespace graft::tracing
