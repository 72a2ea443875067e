/// Random loads: thousands of requests that arrive, are cancelled and end, over pools and budgets
/// of all sizes. Every sequence that isn't cancelled ends, with the text that it has when it is
/// alone.

#include <gtest/gtest.h>

#include <random>

#include "tests/worker/engine/serving/generation/scheduler_simulation.h"

namespace graft::worker::engine::generation {
namespace {

class SequenceSimulationTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  int64_t From(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  /// Each run draws its own sizes: some pools hold all, some little more than one sequence.
  SequenceScheduler::Limits DrawLimits() {
    SequenceScheduler::Limits limits;
    limits.block_tokens = From(1, 16);
    limits.context_tokens = From(20, 200);
    const int64_t one = limits.context_tokens / limits.block_tokens + 1;
    limits.num_blocks = static_cast<int32_t>(From(one, one * From(1, 12)));
    limits.chunk_tokens = From(1, 40);
    limits.max_sequences = From(1, 24);
    limits.step_tokens = limits.chunk_tokens + limits.max_sequences + From(0, 40);
    return limits;
  }

  Asked DrawRequest(const SequenceScheduler::Limits& limits) {
    Asked asked;
    asked.owner = static_cast<uint64_t>(From(0, From(0, 4)));
    asked.prompt_tokens = From(1, From(1, limits.context_tokens - 1));
    asked.max_new_tokens = From(1, limits.context_tokens - asked.prompt_tokens);
    if (From(0, 4) == 0) asked.n = static_cast<int32_t>(From(1, limits.max_sequences));
    if (From(0, 1) == 0) asked.ends_after = From(1, asked.max_new_tokens);
    return asked;
  }

  /// Requests that arrive in bursts, some of which are cancelled.
  void Load(SchedulerSimulation& sim, const SequenceScheduler::Limits& limits, int64_t requests) {
    const int64_t gap = From(0, 12), cancel_one_in = From(2, 30);
    std::vector<uint64_t> live;
    for (int64_t added = 0; added < requests;) {
      for (int64_t burst = From(0, gap) == 0 ? From(1, 6) : 0; burst > 0; --burst, ++added)
        live.push_back(sim.Add(DrawRequest(limits)));
      if (!live.empty() && From(1, cancel_one_in) == 1) {
        const auto chosen = live.begin() + From(0, static_cast<int64_t>(live.size()) - 1);
        if (!sim.IsOver(*chosen)) sim.Cancel(*chosen);
        live.erase(chosen);
      }
      sim.Step();
    }
  }

  std::mt19937 random_{GetParam()};
};

TEST_P(SequenceSimulationTest, EverythingEndsAsIfItWereAlone) {
  for (int run = 0; run < 10; ++run) {
    const SequenceScheduler::Limits limits = DrawLimits();
    SchedulerSimulation sim(limits);

    Load(sim, limits, /*requests=*/60);
    sim.StepsUntilAllOver();

    sim.CheckEnd();
    ASSERT_FALSE(HasFailure()) << "run " << run;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SequenceSimulationTest, ::testing::Range(0U, 16U));

TEST(SequenceSimulationTest, TheLoadsPreemptForkAndChunk) {
  // The smallest pool that a mix fits in: what the runs above are to meet does happen.
  SchedulerSimulation sim({.context_tokens = 120,
                           .num_blocks = 20,
                           .block_tokens = 8,
                           .chunk_tokens = 16,
                           .step_tokens = 32,
                           .max_sequences = 16});
  int64_t tokens = 0;
  for (uint64_t i = 0; i < 40; ++i) {
    const Asked asked{.owner = i % 4,
                      .prompt_tokens = 5 + static_cast<int64_t>(i % 7) * 9,
                      .max_new_tokens = 40,
                      .n = i % 5 == 0 ? 4 : 1};
    tokens += asked.prompt_tokens + (asked.max_new_tokens - 1) * asked.n;
    sim.Add(asked);
  }

  sim.StepsUntilAllOver();

  EXPECT_GT(sim.num_preempted(), 10);
  EXPECT_GT(sim.computed_tokens(), tokens);
  EXPECT_LT(sim.computed_tokens(), 3 * tokens) << "and not for ever";
  sim.CheckEnd();
}

}  // namespace
}  // namespace graft::worker::engine::generation
