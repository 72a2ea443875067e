/// Work that threads share: each chunk once, whoever calls and from where.

#include "worker/engine/device/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace graft::worker::engine::cpu {
namespace {

TEST(TeamTest, EachChunkIsRunOnceAndAllAreDoneAtTheEnd) {
  for (int round = 0; round < 2000; ++round) {
    const int64_t count = round % 70;
    std::vector<int> runs(static_cast<size_t>(count));
    ForEachChunk(count, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
    ASSERT_EQ(runs, std::vector<int>(static_cast<size_t>(count), 1)) << round;
  }
}

TEST(TeamTest, CallersFromWithinAndBesideGetTheirsDone) {
  std::atomic<int> runs{0};
  const auto work = [&] {
    for (int round = 0; round < 200; ++round)
      ForEachChunk(8, [&](int64_t) { ForEachChunk(4, [&](int64_t) { ++runs; }); });
  };
  std::thread beside(work);
  work();
  beside.join();
  EXPECT_EQ(runs, 2 * 200 * 8 * 4);
}

TEST(TeamTest, ABodyIsToldOnWhichOfTheCallsThreadsItIs) {
  std::vector<std::atomic<int>> at_once(static_cast<size_t>(MostThreads()));
  std::atomic<int> shared{0}, strange{0};
  for (int round = 0; round < 200; ++round) {
    ForEachChunk(64, [&](int64_t, int64_t thread) {
      if (thread < 0 || thread >= MostThreads()) {
        ++strange;
        return;
      }
      std::atomic<int>& here = at_once[static_cast<size_t>(thread)];
      if (++here > 1) ++shared;
      std::this_thread::yield();
      --here;
    });
  }

  EXPECT_EQ(strange, 0);
  EXPECT_EQ(shared, 0) << "two were told the same at the same time";
}

}  // namespace
}  // namespace graft::worker::engine::cpu
