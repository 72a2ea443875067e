/// What the scheduler never takes.

#include <gtest/gtest.h>

#include <tuple>

#include "tests/worker/engine/serving/generation/scheduler_simulation.h"
#include "worker/engine/serving/generation/sequence_scheduler.h"

namespace graft::worker::engine::generation {
namespace {

Status Refusal(const SequenceScheduler::Limits& limits, const SequenceRequest& request) {
  auto scheduler = SequenceScheduler::Create(limits);
  return scheduler->Add(request);
}

TEST(SequenceLimitsTest, WhatCouldNeverFitIsRefusedWithTheNumbers) {
  const SequenceScheduler::Limits small = WithBlocks(50);
  struct Row {
    Status status;
    std::string field, reason;
    std::vector<std::string> numbers;
  };
  const Row rows[] = {
      {Refusal(kRoomy, {1, 1, 1500, 501}),
       "max_tokens",
       "CONTEXT_EXCEEDED",
       {"1500", "501", "2000", "500"}},
      {Refusal(kRoomy, {1, 1, 2000, 1}), "prompt", "CONTEXT_EXCEEDED", {"2000"}},
      {Refusal(kRoomy, {1, 1, INT64_MAX, INT64_MAX}), "prompt", "CONTEXT_EXCEEDED", {"2000"}},
      {Refusal(kRoomy, {1, 1, 1, INT64_MAX}), "max_tokens", "CONTEXT_EXCEEDED", {"1999"}},
      {Refusal(small, {1, 1, 400, 102}),
       "max_tokens",
       "KV_CACHE_EXCEEDED",
       {"400", "102", "501", "101"}},
      {Refusal(small, {1, 1, 600, 10}), "prompt", "KV_CACHE_EXCEEDED", {"600", "501"}},
      {Refusal(kRoomy, {1, 1, 10, 10, 33}), "n", "INVALID_FIELD", {"33", "32"}},
      {Refusal(kRoomy, {1, 1, 10, 10, 0}), "n", "INVALID_FIELD", {"0"}},
      {Refusal(kRoomy, {1, 1, 0, 10}), "prompt", "PROMPT_EMPTY", {}},
      {Refusal(kRoomy, {1, 1, 10, 0}), "max_tokens", "INVALID_FIELD", {"1"}},
  };
  for (const Row& row : rows) {
    ASSERT_EQ(row.status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(row.status.details()[0].field, row.field) << row.status;
    EXPECT_EQ(row.status.details()[0].reason, row.reason) << row.status;
    for (const std::string& number : row.numbers)
      EXPECT_NE(row.status.message().find(number), std::string::npos) << row.status;
  }
}

TEST(SequenceLimitsTest, WhatJustFitsRuns) {
  EXPECT_TRUE(Refusal(kRoomy, {1, 1, 1500, 500}).ok());
  SchedulerSimulation sim(WithBlocks(50));
  const uint64_t request = sim.Add({.prompt_tokens = 400, .max_new_tokens = 101});

  sim.StepsUntilAllOver();

  EXPECT_EQ(sim.generated(request), 101);
  sim.CheckEnd();
}

TEST(SequenceLimitsTest, TheMostNewTokensJustFit) {
  for (const auto& [limits, prompt_tokens, most] :
       {std::tuple(kRoomy, 1500, 500), {WithBlocks(50), 400, 101}, {WithBlocks(50), 500, 1}}) {
    const auto scheduler = SequenceScheduler::Create(limits);
    EXPECT_EQ(scheduler->MostNewTokens(prompt_tokens), most);
    EXPECT_TRUE(Refusal(limits, {1, 1, prompt_tokens, most}).ok());
    EXPECT_FALSE(Refusal(limits, {1, 1, prompt_tokens, most + 1}).ok());
  }
  EXPECT_LT(SequenceScheduler::Create(WithBlocks(50))->MostNewTokens(501), 1);
}

TEST(SequenceLimitsTest, LimitsThatCannotWorkAreRefused) {
  EXPECT_TRUE(SequenceScheduler::Create(kRoomy).ok());
  SequenceScheduler::Limits no_blocks = kRoomy, small_step = kRoomy;
  no_blocks.num_blocks = 0;
  small_step.step_tokens = 131;

  EXPECT_FALSE(SequenceScheduler::Create(no_blocks).ok());
  EXPECT_FALSE(SequenceScheduler::Create(small_step).ok());
}

}  // namespace
}  // namespace graft::worker::engine::generation
