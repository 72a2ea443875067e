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

}  // namespace
}  // namespace graft::worker::engine::cpu
