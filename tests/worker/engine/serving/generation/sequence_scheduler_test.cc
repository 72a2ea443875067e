/// The scheduler in counted steps, one sentence a test.

#include "worker/engine/serving/generation/sequence_scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/engine/serving/generation/scheduler_simulation.h"

namespace graft::worker::engine::generation {
namespace {

const PlannedRows* RowsOf(const StepPlan& plan, uint64_t request, int32_t index = 0) {
  const auto found =
      std::ranges::find(plan.rows, SequenceId{request, index}, &PlannedRows::sequence);
  return found == plan.rows.end() ? nullptr : &*found;
}

TEST(SequenceSchedulerTest, NothingWaitsNothingIsPlanned) {
  SchedulerSimulation sim(kRoomy);

  EXPECT_TRUE(sim.Step().rows.empty());
  EXPECT_TRUE(sim.scheduler().empty());
}

TEST(SequenceSchedulerTest, APromptsLastRowGivesTheFirstTokenAndThenEachStepOne) {
  SchedulerSimulation sim(kRoomy);
  const uint64_t request = sim.Add({.prompt_tokens = 7, .max_new_tokens = 3});

  const StepPlan first = sim.Step(), second = sim.Step(), third = sim.Step();

  ASSERT_EQ(first.rows.size(), 1U);
  EXPECT_EQ(RowsOf(first, request)->begin, 0);
  EXPECT_EQ(RowsOf(first, request)->tokens, 7);
  EXPECT_EQ(RowsOf(first, request)->samples, 1);
  EXPECT_FALSE(RowsOf(first, request)->is_decode);
  EXPECT_EQ(RowsOf(second, request)->begin, 7);
  EXPECT_EQ(RowsOf(second, request)->tokens, 1);
  EXPECT_TRUE(RowsOf(second, request)->is_decode);
  EXPECT_EQ(RowsOf(third, request)->begin, 8);
  EXPECT_TRUE(sim.IsOver(request));
  EXPECT_TRUE(sim.Step().rows.empty());
  sim.CheckEnd();
}

TEST(SequenceSchedulerTest, ALongPromptComesInChunksAndOnlyItsLastRowIsSampled) {
  SchedulerSimulation sim(kRoomy);
  const uint64_t request = sim.Add({.prompt_tokens = 250, .max_new_tokens = 1});

  for (const int64_t tokens : {100, 100, 50}) {
    const StepPlan plan = sim.Step();
    EXPECT_EQ(RowsOf(plan, request)->tokens, tokens);
    EXPECT_EQ(RowsOf(plan, request)->samples, tokens == 50 ? 1 : 0);
  }
  EXPECT_TRUE(sim.IsOver(request));
}

TEST(SequenceSchedulerTest, StreamsAdvanceEveryStepBesideALongPrompt) {
  SchedulerSimulation sim(kRoomy);
  std::vector<uint64_t> streams;
  for (uint64_t i = 0; i < 31; ++i)
    streams.push_back(sim.Add({.owner = i % 3, .prompt_tokens = 3, .max_new_tokens = 50}));
  sim.Step();
  const uint64_t prompt = sim.Add({.owner = 9, .prompt_tokens = 1500, .max_new_tokens = 5});

  for (int step = 0; step < 15; ++step) {
    const StepPlan plan = sim.Step();
    EXPECT_EQ(RowsOf(plan, prompt)->tokens, 100);
    for (const uint64_t stream : streams) EXPECT_NE(RowsOf(plan, stream), nullptr);
  }
  EXPECT_EQ(sim.generated(prompt), 1);
}

TEST(SequenceSchedulerTest, WhoArrivesDuringDecodeHasItsFirstTokenWithinTwoSteps) {
  // Beside streams, long prompts that run, and many that wait; of its own owner or another's.
  for (const int64_t prompt_tokens : {1, 50, 100}) {
    for (const int long_prompts : {0, 1, 3, 20}) {
      for (const uint64_t owner : {uint64_t{1}, uint64_t{77}}) {
        for (const int steps_before : {1, 2, 3, 4, 5}) {
          SchedulerSimulation sim(kRoomy);
          for (uint64_t i = 0; i < 10; ++i) sim.Add({.prompt_tokens = 5, .max_new_tokens = 90});
          for (int i = 0; i < long_prompts; ++i)
            sim.Add({.owner = 1 + static_cast<uint64_t>(i) % 2,
                     .prompt_tokens = 900,
                     .max_new_tokens = 50});
          for (int i = 0; i < steps_before; ++i) sim.Step();

          const uint64_t request =
              sim.Add({.owner = owner, .prompt_tokens = prompt_tokens, .max_new_tokens = 4});

          EXPECT_LE(sim.StepsUntilFirstToken(request), 2)
              << prompt_tokens << " tokens beside " << long_prompts << " after " << steps_before;
        }
      }
    }
  }
}

TEST(SequenceSchedulerTest, AStormOfShortPromptsDoesntStopALongOne) {
  SchedulerSimulation sim(kRoomy);
  const uint64_t request = sim.Add({.prompt_tokens = 1000, .max_new_tokens = 2});
  int steps = 0;
  for (; steps < 100 && sim.generated(request) == 0; ++steps) {
    for (uint64_t i = 0; i < 5; ++i)
      sim.Add({.owner = 2 + i, .prompt_tokens = 90, .max_new_tokens = 1});
    sim.Step();
  }
  EXPECT_LE(steps, 2 * 10 + 2) << "every other step but for what the short ones left of theirs";
}

TEST(SequenceSchedulerTest, AnOwnersPromptsStartInTheOrderOfTheirArrival) {
  for (const int64_t prompt_tokens : {60, 300}) {
    SchedulerSimulation sim(kRoomy);
    std::vector<uint64_t> requests;
    for (int i = 0; i < 8; ++i)
      requests.push_back(sim.Add({.prompt_tokens = prompt_tokens, .max_new_tokens = 100}));

    for (size_t begun = 0; begun < requests.size();) {
      sim.Step();
      while (begun < requests.size() && sim.generated(requests[begun]) > 0) ++begun;
      for (size_t i = begun; i < requests.size(); ++i) EXPECT_EQ(sim.generated(requests[i]), 0);
    }
  }
}

TEST(SequenceSchedulerTest, AnOwnerWithManyThatWaitDoesntStarveAnother) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.max_sequences = 4;
  SchedulerSimulation sim(limits);
  for (int i = 0; i < 500; ++i) sim.Add({.owner = 1, .prompt_tokens = 20, .max_new_tokens = 10});
  for (int i = 0; i < 25; ++i) sim.Step();

  std::vector<uint64_t> others;
  for (uint64_t owner = 2; owner < 5; ++owner)
    others.push_back(sim.Add({.owner = owner, .prompt_tokens = 20, .max_new_tokens = 10}));

  // Each has the next turn but one for each owner before it, as slots become free.
  int steps = 0;
  for (const uint64_t other : others) {
    steps += sim.StepsUntilFirstToken(other);
    EXPECT_LE(steps, 22) << sim.asked(other).owner;
  }
}

TEST(SequenceSchedulerTest, OwnersShareTheSlotsWhateverTheyHaveWaiting) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.max_sequences = 6;
  SchedulerSimulation sim(limits);
  std::map<uint64_t, std::vector<uint64_t>> requests;
  for (const auto& [owner, count] : {std::pair{1, 300}, {2, 60}, {3, 60}}) {
    for (int i = 0; i < count; ++i)
      requests[owner].push_back(sim.Add(
          {.owner = static_cast<uint64_t>(owner), .prompt_tokens = 30, .max_new_tokens = 10}));
  }

  for (int i = 0; i < 200; ++i) sim.Step();

  std::map<uint64_t, int64_t> over;
  for (const auto& [owner, ids] : requests)
    over[owner] = std::ranges::count_if(ids, [&](uint64_t id) { return sim.IsOver(id); });
  EXPECT_GT(over[1], 20);
  EXPECT_LE(std::abs(over[1] - over[2]), 2);
  EXPECT_LE(std::abs(over[2] - over[3]), 2);
}

TEST(SequenceSchedulerTest, ACancelledSlotIsUsedInTheNextStep) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.max_sequences = 3;
  SchedulerSimulation sim(limits);
  std::vector<uint64_t> requests;
  for (int i = 0; i < 4; ++i)
    requests.push_back(sim.Add({.prompt_tokens = 5, .max_new_tokens = 100}));
  for (int i = 0; i < 3; ++i) sim.Step();
  ASSERT_EQ(sim.generated(requests[3]), 0);

  sim.Cancel(requests[1]);
  const StepPlan plan = sim.Step();

  EXPECT_EQ(RowsOf(plan, requests[1]), nullptr);
  EXPECT_NE(RowsOf(plan, requests[3]), nullptr);
  EXPECT_EQ(sim.generated(requests[3]), 1);
}

TEST(SequenceSchedulerTest, NobodyIsChosenWhileNoSlotIsFree) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.max_sequences = 2;
  SchedulerSimulation sim(limits);
  for (int i = 0; i < 5; ++i) sim.Add({.prompt_tokens = 5, .max_new_tokens = 100});

  for (int i = 0; i < 4; ++i) sim.Step();

  EXPECT_EQ(sim.scheduler().num_running(), 2);
  EXPECT_EQ(sim.scheduler().num_waiting(), 3) << "who comes meanwhile may have the next turn";
}

TEST(SequenceSchedulerTest, ACancelledRequestLeavesWhereverItIs) {
  SchedulerSimulation sim(WithBlocks(100));
  const uint64_t decodes = sim.Add({.prompt_tokens = 5, .max_new_tokens = 100, .n = 3});
  const uint64_t prefills = sim.Add({.prompt_tokens = 500, .max_new_tokens = 10});
  sim.Step();
  sim.Step();
  const uint64_t waits = sim.Add({.prompt_tokens = 5, .max_new_tokens = 10});
  const uint64_t waits_long = sim.Add({.owner = 2, .prompt_tokens = 600, .max_new_tokens = 10});

  for (const uint64_t request : {decodes, prefills, waits, waits_long, waits, uint64_t{12345}})
    sim.scheduler().Cancel(request);

  EXPECT_TRUE(sim.scheduler().empty());
  EXPECT_EQ(sim.scheduler().blocks().free_blocks(), 100);
}

TEST(SequenceSchedulerTest, ASequenceThatEndsEarlyFreesItsBlocksAtOnce) {
  SchedulerSimulation sim(kRoomy);
  sim.Add({.prompt_tokens = 25, .max_new_tokens = 100, .ends_after = 3});

  for (int i = 0; i < 3; ++i) sim.Step();

  EXPECT_TRUE(sim.scheduler().empty());
  sim.CheckEnd();
}

TEST(SequenceSchedulerTest, WhenBlocksRunOutTheNewestIsPreemptedAndComputedAgain) {
  SchedulerSimulation sim(WithBlocks(12));
  std::vector<uint64_t> requests;
  for (int i = 0; i < 3; ++i)
    requests.push_back(sim.Add({.prompt_tokens = 20, .max_new_tokens = 60}));
  StepPlan plan = sim.Step();
  ASSERT_EQ(plan.rows.size(), 3U);

  while (plan.preempted.empty()) plan = sim.Step();

  EXPECT_EQ(plan.preempted, (std::vector<SequenceId>{{requests[2], 0}}));
  EXPECT_EQ(sim.generated(requests[0]), sim.generated(requests[2]) + 1);
  const int64_t text = sim.generated(requests[2]);
  while (RowsOf(plan, requests[2]) == nullptr) plan = sim.Step();
  EXPECT_EQ(RowsOf(plan, requests[2])->begin, 0);
  EXPECT_EQ(RowsOf(plan, requests[2])->tokens, 20 + text) << "prompt and text, in one chunk";
  EXPECT_EQ(RowsOf(plan, requests[2])->samples, 1) << "and it goes on";
  sim.StepsUntilAllOver();
  sim.CheckEnd();
}

TEST(SequenceSchedulerTest, APreemptedSequenceComesBackBeforeThoseThatWait) {
  SchedulerSimulation sim(WithBlocks(12));
  std::vector<uint64_t> requests;
  for (uint64_t i = 0; i < 10; ++i)
    requests.push_back(sim.Add({.owner = i, .prompt_tokens = 20, .max_new_tokens = 60}));
  StepPlan plan = sim.Step();
  while (plan.preempted.empty()) plan = sim.Step();
  const SequenceId preempted = plan.preempted.front();
  std::set<uint64_t> begun;
  for (const uint64_t request : requests) {
    if (sim.generated(request) > 0) begun.insert(request);
  }

  while (RowsOf(plan, preempted.request) == nullptr) plan = sim.Step();

  for (const uint64_t request : requests)
    EXPECT_EQ(sim.generated(request) > 0, begun.contains(request)) << request;
}

TEST(SequenceSchedulerTest, WhoStartsLeavesABlockForItsTextAndForEachThatRuns) {
  for (const int32_t num_blocks : {4, 5}) {
    SchedulerSimulation sim(WithBlocks(num_blocks));
    sim.Add({.prompt_tokens = 15, .max_new_tokens = 20});
    sim.Step();
    ASSERT_EQ(sim.scheduler().blocks().free_blocks(), num_blocks - 2);

    const uint64_t request = sim.Add({.prompt_tokens = 10, .max_new_tokens = 5});
    sim.Step();

    EXPECT_EQ(sim.generated(request), num_blocks == 5 ? 1 : 0);
  }
}

TEST(SequenceSchedulerTest, WhoComesBackDoesntLoseItsBlocksAtOnce) {
  int64_t preempted = 0;
  for (int32_t blocks = 9; blocks < 25; ++blocks) {
    for (int64_t prompt_tokens = 15; prompt_tokens < 25; ++prompt_tokens) {
      SchedulerSimulation sim(WithBlocks(blocks));
      for (int i = 0; i < 8; ++i) sim.Add({.prompt_tokens = prompt_tokens, .max_new_tokens = 60});
      std::map<SequenceId, int64_t> tokens_when_preempted;
      while (!sim.scheduler().empty()) {
        for (const SequenceId& id : sim.Step().preempted) {
          const int64_t tokens = sim.generated(id.request);
          const auto [last, is_first] = tokens_when_preempted.try_emplace(id, tokens);
          EXPECT_TRUE(is_first || tokens >= last->second + 2) << "one by its prompt, one decoded";
          last->second = tokens;
        }
      }
      preempted += sim.num_preempted();
    }
  }
  EXPECT_GE(preempted, 500);
}

TEST(SequenceSchedulerTest, AShortPromptIsSoonBegunBesideALongTextThatComesBack) {
  for (const int steps_between : {0, 1}) {
    SchedulerSimulation sim(WithBlocks(50));
    const uint64_t large = sim.Add({.prompt_tokens = 200, .max_new_tokens = 250});
    while (sim.generated(large) == 0) sim.Step();
    const uint64_t preempted = sim.Add({.prompt_tokens = 210, .max_new_tokens = 200});
    while (sim.num_preempted() == 0) sim.Step();
    for (int i = 0; i < steps_between; ++i) sim.Step();
    sim.Cancel(large);

    const uint64_t request = sim.Add({.prompt_tokens = 100, .max_new_tokens = 5});

    EXPECT_LE(sim.StepsUntilFirstToken(request), 2);
    sim.StepsUntilAllOver();
    EXPECT_EQ(sim.generated(preempted), 200);
  }
}

TEST(SequenceSchedulerTest, TheOldestAlwaysAdvances) {
  // Each fits alone; together they thrash, unless somebody is never preempted.
  SchedulerSimulation sim(WithBlocks(8));
  std::vector<uint64_t> requests;
  for (uint64_t i = 0; i < 12; ++i)
    requests.push_back(sim.Add({.owner = i % 3, .prompt_tokens = 10, .max_new_tokens = 60}));
  for (size_t oldest = 0; oldest < requests.size();) {
    const int64_t before = sim.generated(requests[oldest]);
    sim.Step();
    sim.Step();
    EXPECT_TRUE(sim.generated(requests[oldest]) > before) << oldest;
    while (oldest < requests.size() && sim.IsOver(requests[oldest])) ++oldest;
  }
  EXPECT_GT(sim.num_preempted(), 0);
  sim.StepsUntilAllOver();
  sim.CheckEnd();
}

TEST(SequenceSchedulerTest, ALargeRequestThatWaitsForBlocksIsNotOvertaken) {
  SchedulerSimulation sim(WithBlocks(40));
  for (int i = 0; i < 4; ++i) sim.Add({.prompt_tokens = 60, .max_new_tokens = 20});
  sim.Step();
  sim.Step();
  sim.Step();
  const uint64_t large = sim.Add({.owner = 2, .prompt_tokens = 350, .max_new_tokens = 10});
  int steps = 0;
  for (; steps < 200 && sim.generated(large) == 0; ++steps) {
    sim.Add({.owner = 3, .prompt_tokens = 30, .max_new_tokens = 20});
    sim.Step();
  }
  EXPECT_LE(steps, 20 + 2 * 4 + 2) << "once those that ran are over, and it has two chunks in four";
}

TEST(SequenceSchedulerTest, ThirtyTwoShortStreamsRunWhereOneFullContextFits) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.context_tokens = 320;
  limits.num_blocks = 32;
  SchedulerSimulation full(limits), shorts(limits);
  const uint64_t whole = full.Add({.prompt_tokens = 200, .max_new_tokens = 120});
  for (uint64_t i = 0; i < 32; ++i)
    shorts.Add({.owner = i, .prompt_tokens = 3, .max_new_tokens = 8});

  EXPECT_EQ(shorts.Step().rows.size(), 32U);
  EXPECT_EQ(shorts.StepsUntilAllOver(), 8);
  full.StepsUntilAllOver();

  EXPECT_EQ(shorts.num_preempted() + full.num_preempted(), 0);
  EXPECT_EQ(full.generated(whole), 120);
  shorts.CheckEnd();
  full.CheckEnd();
}

TEST(SequenceSchedulerTest, SeveralAnswersComputeTheirPromptOnceAndShareItsBlocks) {
  SchedulerSimulation sim(kRoomy);
  const uint64_t request = sim.Add({.prompt_tokens = 95, .max_new_tokens = 10, .n = 4});

  const StepPlan prefill = sim.Step();
  EXPECT_EQ(RowsOf(prefill, request)->tokens, 95);
  EXPECT_EQ(RowsOf(prefill, request)->samples, 4);
  EXPECT_EQ(sim.scheduler().blocks().free_blocks(), 1000 - 10);
  EXPECT_EQ(sim.scheduler().num_running(), 4);
  const StepPlan decode = sim.Step();

  ASSERT_EQ(decode.rows.size(), 4U);
  for (int32_t index = 0; index < 4; ++index) EXPECT_EQ(RowsOf(decode, request, index)->begin, 95);
  EXPECT_EQ(decode.copies.size(), 3U) << "of the block that isn't full, for all but the last";
  EXPECT_EQ(sim.scheduler().blocks().free_blocks(), 1000 - 9 - 4);
  EXPECT_TRUE(sim.Step().copies.empty());
  sim.StepsUntilAllOver();
  EXPECT_EQ(sim.computed_tokens(), 95 + 4 * 9);
  EXPECT_EQ(sim.num_ended(), 4U);
  sim.CheckEnd();
}

TEST(SequenceSchedulerTest, AnswersOfAPromptEndEachForItself) {
  SchedulerSimulation sim(kRoomy);
  const uint64_t request = sim.Add({.prompt_tokens = 5, .max_new_tokens = 10, .n = 3});
  sim.Step();

  sim.scheduler().Finish({request, 1});
  const StepPlan plan = sim.scheduler().NextStep();

  EXPECT_NE(RowsOf(plan, request, 0), nullptr);
  EXPECT_EQ(RowsOf(plan, request, 1), nullptr);
  EXPECT_NE(RowsOf(plan, request, 2), nullptr);
}

TEST(SequenceSchedulerTest, ARequestWaitsForSlotsForAllItsAnswersAndGetsThem) {
  SequenceScheduler::Limits limits = kRoomy;
  limits.max_sequences = 8;
  SchedulerSimulation sim(limits);
  for (int i = 0; i < 5; ++i) sim.Add({.prompt_tokens = 5, .max_new_tokens = 20});
  sim.Step();
  const uint64_t wide = sim.Add({.owner = 2, .prompt_tokens = 5, .max_new_tokens = 5, .n = 6});
  int steps = 0;
  for (; steps < 100 && sim.generated(wide, 5) == 0; ++steps) {
    sim.Add({.owner = 3, .prompt_tokens = 5, .max_new_tokens = 20});
    sim.Step();
  }
  EXPECT_LE(steps, 21) << "others that come don't take the slots before it";
}

TEST(SequenceSchedulerTest, RowsOfAnOwnerAreNeighbours) {
  SchedulerSimulation sim(kRoomy);
  for (uint64_t i = 0; i < 9; ++i)
    sim.Add({.owner = i % 3, .prompt_tokens = 10, .max_new_tokens = 10});
  const StepPlan plan = sim.Step();

  ASSERT_EQ(plan.rows.size(), 9U);
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(plan.rows[i].owner, i / 3);
}

}  // namespace
}  // namespace graft::worker::engine::generation
