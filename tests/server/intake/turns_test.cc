#include "server/intake/turns.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::intake {
namespace {

using std::chrono::milliseconds;

// Each loop below is bounded, so that a failure ends.
constexpr int kSteps = 50'000'000;

TEST(TurnsTest, LongWorkGivesWayToWorkThatCameLater) {
  Turns turns(1, milliseconds(0));
  std::atomic<bool> begun = false;
  std::atomic<bool> short_work_done = false;
  bool gave_way = false;
  std::thread long_work([&] {
    Turns::Turn turn(turns);
    begun = true;
    for (int i = 0; i < kSteps && !gave_way; ++i) {
      turn.GiveWay();
      gave_way = short_work_done;
    }
  });
  while (!begun) std::this_thread::yield();

  {
    const Turns::Turn turn(turns);
    short_work_done = true;
  }

  long_work.join();
  EXPECT_TRUE(gave_way);
}

TEST(TurnsTest, NoMoreThanItsNumberWorkAtOnce) {
  Turns turns(2, milliseconds(0));
  std::atomic<int> working = 0;
  std::atomic<int> most = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) {
        Turns::Turn turn(turns);
        const int now = ++working;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        --working;
        turn.GiveWay();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 2);
}

TEST(TurnsTest, WorkOfSeveralTakesTurns) {
  Turns turns(1, milliseconds(0));
  std::mutex mutex;
  std::vector<int> steps;
  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  for (int id = 0; id < 3; ++id) {
    threads.emplace_back([&, id] {
      Turns::Turn turn(turns);
      // Until all have come, a step counts for nothing.
      ++ready;
      for (int i = 0; i < kSteps && ready < 3; ++i) turn.GiveWay();
      for (int k = 0; k < 5; ++k) {
        turn.GiveWay();
        const std::lock_guard lock(mutex);
        steps.push_back(id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(steps.size(), 15U);
  // Nobody takes all of its steps before another takes its first.
  for (int id = 0; id < 3; ++id) {
    EXPECT_THAT(std::vector<int>(steps.begin(), steps.begin() + 7), testing::Contains(id));
  }
}

TEST(TurnsTest, WithinItsSliceWorkGoesOn) {
  Turns turns(1, std::chrono::hours(1));
  std::atomic<bool> other_done = false;
  std::atomic<bool> coming = false;
  std::thread other;
  {
    Turns::Turn turn(turns);
    other = std::thread([&] {
      coming = true;
      const Turns::Turn wait(turns);
      other_done = true;
    });
    while (!coming) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) turn.GiveWay();
    EXPECT_FALSE(other_done);
  }
  other.join();
  EXPECT_TRUE(other_done);
}

}  // namespace
}  // namespace graft::server::intake
