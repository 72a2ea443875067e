#include "worker/engine/serving/generation/stop.h"

#include <gtest/gtest.h>

namespace graft::worker::engine::generation {
namespace {

/// A sequence with end tokens 1 and 2.
struct Sequence {
  explicit Sequence(std::vector<std::string> stop = {}, std::optional<int64_t> max_tokens = {},
                    int64_t context_left = 100)
      : settings{.end_tokens = {1, 2}, .min_tokens = {}, .max_tokens = max_tokens, .stop = stop},
        strings(settings.stop),
        conditions(settings, strings, context_left) {}

  StopSettings settings;
  StopStrings strings;
  StopConditions conditions;
};

TEST(StopConditionsTest, AnEndTokenEndsWithoutItsText) {
  Sequence sequence;
  EXPECT_EQ(sequence.conditions.Add(7, "Hello"), "Hello");

  EXPECT_EQ(sequence.conditions.Add(2, "</s>"), "");

  ASSERT_TRUE(sequence.conditions.finish().has_value());
  EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kStop);
  EXPECT_EQ(sequence.conditions.finish()->end_token, 2);
  EXPECT_FALSE(sequence.conditions.finish()->stop_string.has_value());
  EXPECT_EQ(sequence.conditions.generated(), 2);
}

TEST(StopConditionsTest, AStopStringEndsAndIsNamed) {
  Sequence sequence({"\n", "Q:"});
  EXPECT_EQ(sequence.conditions.Add(7, "4 Q"), "4 ");

  EXPECT_EQ(sequence.conditions.Add(8, ": what"), "");

  EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kStop);
  EXPECT_EQ(sequence.conditions.finish()->stop_string, 1U);
  EXPECT_EQ(sequence.conditions.Close(" more"), "");
}

TEST(StopConditionsTest, TheLastAllowedTokenEndsByLength) {
  Sequence sequence({}, 2);
  sequence.conditions.Add(7, "a");
  EXPECT_FALSE(sequence.conditions.finish().has_value());

  EXPECT_EQ(sequence.conditions.Add(7, "b"), "b");

  EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kLength);
}

TEST(StopConditionsTest, TheContextsEndEndsByLength) {
  for (const auto max_tokens : {std::optional<int64_t>(), std::optional<int64_t>(50)}) {
    Sequence sequence({}, max_tokens, 1);

    sequence.conditions.Add(7, "a");

    EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kLength);
  }
}

TEST(StopConditionsTest, AStopOnTheLastAllowedTokenIsAStop) {
  Sequence by_string({"b"}, 2), by_token({}, 1);
  by_string.conditions.Add(7, "a");

  by_string.conditions.Add(7, "b");
  by_token.conditions.Add(1, "");

  EXPECT_EQ(by_string.conditions.finish()->reason, FinishReason::kStop);
  EXPECT_EQ(by_token.conditions.finish()->reason, FinishReason::kStop);
}

TEST(StopConditionsTest, WhatWasHeldBackComesOnceNothingCanCompleteIt) {
  for (const int32_t last : {1, 7}) {  // An end token; length.
    Sequence sequence({"stop"}, 2);
    EXPECT_EQ(sequence.conditions.Add(7, "a st"), "a ");
    EXPECT_EQ(sequence.conditions.Add(last, last == 1 ? "" : "o"), "");

    EXPECT_EQ(sequence.conditions.Close(), last == 1 ? "st" : "sto");
    EXPECT_FALSE(sequence.conditions.finish()->stop_string.has_value());
  }
}

TEST(StopConditionsTest, AStringThatTheTailCompletesIsWhyItEnded) {
  Sequence sequence({"\u20ac"}, 1);
  EXPECT_EQ(sequence.conditions.Add(7, "5 "), "5 ");
  EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kLength);

  EXPECT_EQ(sequence.conditions.Close("\u20ac"), "");

  EXPECT_EQ(sequence.conditions.finish()->reason, FinishReason::kStop);
  EXPECT_EQ(sequence.conditions.finish()->stop_string, 0U);
}

TEST(StopConditionsTest, WhoCancelsEndsItUnlessItHasEnded) {
  Sequence running, ended;
  ended.conditions.Add(1, "");

  running.conditions.End(FinishReason::kCancelled);
  ended.conditions.End(FinishReason::kCancelled);

  EXPECT_EQ(running.conditions.finish()->reason, FinishReason::kCancelled);
  EXPECT_EQ(ended.conditions.finish()->reason, FinishReason::kStop);
}

TEST(StopConditionsTest, ReasonsHaveNames) {
  EXPECT_EQ(FinishReasonName(FinishReason::kStop), "stop");
  EXPECT_EQ(FinishReasonName(FinishReason::kLength), "length");
  EXPECT_EQ(FinishReasonName(FinishReason::kCancelled), "cancelled");
  EXPECT_EQ(FinishReasonName(FinishReason::kFailed), "failed");
}

}  // namespace
}  // namespace graft::worker::engine::generation
