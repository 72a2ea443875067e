#include "worker/agent/train_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/recording_sink.h"

namespace graft::worker::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const tracing::SpanContext kLease = {std::string(32, 'a'), std::string(16, 'b'), true, ""};

report::Progress At(int64_t step) {
  report::Progress progress;
  progress.step = step;
  progress.loss = 0.5;
  return progress;
}

report::Evaluation Evaluated(int64_t step) {
  report::Evaluation evaluation;
  evaluation.step = step;
  evaluation.split = "validation";
  return evaluation;
}

class TrainTraceTest : public ::testing::Test {
 protected:
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const tracing::Span& span : sink_->spans()) names.push_back(span.name);
    return names;
  }
  /// First and last step of each stretch.
  std::vector<std::pair<int64_t, int64_t>> Stretches() const {
    std::vector<std::pair<int64_t, int64_t>> stretches;
    for (const tracing::Span& span : sink_->spans()) {
      if (span.name != "steps") continue;
      stretches.emplace_back(std::get<int64_t>(span.attributes.at(0).value),
                             std::get<int64_t>(span.attributes.at(1).value));
    }
    return stretches;
  }

  const std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  TrainTrace trace_{tracing::Tracer(sink_, {}), kLease};
};

TEST_F(TrainTraceTest, StepsAndEvaluationsFollowOneAnotherBelowTheRun) {
  trace_.Started("fp32", 0);
  trace_.Progressed(At(1));
  trace_.Progressed(At(4));
  trace_.Evaluated(Evaluated(4));
  trace_.Progressed(At(8));
  trace_.Evaluated(Evaluated(8));
  trace_.Evaluated(Evaluated(8));
  trace_.Ended(OkStatus());

  EXPECT_THAT(Names(), ElementsAre("steps", "evaluate", "steps", "evaluate", "evaluate", "train"));
  EXPECT_THAT(Stretches(), ElementsAre(Pair(1, 4), Pair(5, 8)));
  const std::vector<tracing::Span> spans = sink_->spans();
  const tracing::Span& train = spans.back();
  EXPECT_EQ(train.parent_id, kLease.span_id);
  EXPECT_FALSE(train.has_failed);
  tracing::TimeNs last = train.start;
  for (size_t i = 0; i + 1 < spans.size(); ++i) {
    EXPECT_EQ(spans[i].parent_id, train.context.span_id);
    EXPECT_GE(spans[i].start, last) << "one behind the other";
    EXPECT_GE(spans[i].end, spans[i].start);
    last = spans[i].end;
  }
}

TEST_F(TrainTraceTest, AnEvaluationTellsOfStepsThatNobodyToldOf) {
  trace_.Started("fp32", 0);
  trace_.Evaluated(Evaluated(3));
  trace_.Progressed(At(4));
  trace_.Evaluated(Evaluated(6));
  trace_.Ended(OkStatus());

  EXPECT_THAT(Stretches(), ElementsAre(Pair(1, 3), Pair(4, 6)));
}

TEST_F(TrainTraceTest, AResumedRunsStepsBeginBehindItsCheckpoint) {
  trace_.Started("bf16", 20);
  trace_.Progressed(At(21));
  trace_.Ended(UnavailableError("the device is lost"));

  EXPECT_THAT(Stretches(), ElementsAre(Pair(21, 21)));
  EXPECT_TRUE(sink_->spans().back().has_failed);
  EXPECT_EQ(sink_->spans().back().message, "the device is lost");
}

TEST_F(TrainTraceTest, ARunThatNeverBeganIsNoSpan) {
  trace_.Ended(CancelledError("cancelled"));
  EXPECT_THAT(sink_->spans(), IsEmpty());
}

TEST_F(TrainTraceTest, ALeaseInNoTraceHasNoSpans) {
  TrainTrace none(tracing::Tracer(sink_, {}), {});
  none.Started("fp32", 0);
  none.Progressed(At(1));
  none.Evaluated(Evaluated(1));
  none.Ended(OkStatus());
  EXPECT_THAT(sink_->spans(), IsEmpty());
}

}  // namespace
}  // namespace graft::worker::agent
