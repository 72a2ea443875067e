#include "proto/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace graft::proto {
namespace {

using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

report::Evaluation Classifier() {
  return {4, "test", 10, 0.5, {{"accuracy", 0.75}, {"macro_f1", 0.25}}};
}

TEST(ReportTest, AnEvaluationCrossesWhole) {
  const report::Evaluation there = FromProto(ToProto(Classifier()));

  EXPECT_EQ(there.step, 4);
  EXPECT_EQ(there.split, "test");
  EXPECT_EQ(there.examples, 10);
  EXPECT_EQ(there.loss, 0.5);
  EXPECT_EQ(there.metrics, Classifier().metrics);
}

TEST(ReportTest, AClassifiersMetricsAreInTheFieldsOfOldClientsToo) {
  const graft::v1::Evaluation message = ToProto(Classifier());

  EXPECT_EQ(message.accuracy(), 0.75);
  EXPECT_EQ(message.macro_f1(), 0.25);
}

TEST(ReportTest, AnOldWorkersFieldsAreMetrics) {
  graft::v1::Evaluation message;
  message.set_accuracy(0.75);

  EXPECT_THAT(FromProto(message).metrics,
              UnorderedElementsAre(Pair("accuracy", 0.75), Pair("macro_f1", 0)));
}

TEST(ReportTest, AnEvaluationWithoutAccuracyHasNone) {
  const report::Evaluation loss_only = {4, "test", 10, 0.5, {}};
  const report::Evaluation other = {4, "test", 10, 0.5, {{"perplexity", 3}}};

  EXPECT_THAT(FromProto(ToProto(loss_only)).metrics, IsEmpty());
  EXPECT_THAT(FromProto(ToProto(other)).metrics, UnorderedElementsAre(Pair("perplexity", 3)));
}

TEST(ReportTest, WhatAWorkerSaysIsBounded) {
  graft::v1::Evaluation message;
  message.set_split(std::string(1000, 's'));
  for (int i = 0; i < 1000; ++i)
    (*message.mutable_metrics())[std::to_string(i) + std::string(1000, 'm')] = i;

  const report::Evaluation read = FromProto(message);

  EXPECT_EQ(read.split.size(), 64U);
  EXPECT_THAT(read.metrics, SizeIs(64));
  for (const auto& [name, value] : read.metrics) EXPECT_LE(name.size(), 64U);
}

TEST(ReportTest, ASampleCrossesWholeUpToItsBounds) {
  const report::Sample sample = {40, 3, "Tell me", "a story", "stop", 5};
  const report::Sample there = FromProto(ToProto(sample));
  EXPECT_EQ(there.step, 40);
  EXPECT_EQ(there.index, 3);
  EXPECT_EQ(there.prompt, "Tell me");
  EXPECT_EQ(there.text, "a story");
  EXPECT_EQ(there.finish_reason, "stop");
  EXPECT_EQ(there.tokens, 5);

  graft::v1::Sample large;
  large.set_prompt(std::string(1 << 20, 'p'));
  large.set_text(std::string(1 << 20, 't'));
  large.set_finish_reason(std::string(1 << 20, 'r'));
  const report::Sample cut = FromProto(large);
  EXPECT_EQ(cut.prompt.size(), report::kMostSamplePromptBytes);
  EXPECT_EQ(cut.text.size(), report::kMostSampleTextBytes);
  EXPECT_EQ(cut.finish_reason.size(), 16U);
  EXPECT_EQ(ToProto(report::Sample{0, 0, large.prompt(), large.text(), "", 0}).text(), cut.text);
}

}  // namespace
}  // namespace graft::proto
