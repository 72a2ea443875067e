/// Threads for work that blocks: who has slow tasks holds one of them.

#include "worker/agent/task_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace graft::worker::agent {
namespace {

TEST(TaskThreadsTest, TasksOfAKeyRunOneAtATimeAndHoldUpNobodyElse) {
  std::promise<void> release, other;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> running = 0, most = 0, done = 0;
  {
    TaskThreads threads(2);
    const auto slow = [&] {
      most = std::max(most.load(), ++running);
      released.wait();
      --running;
      ++done;
    };
    for (int i = 0; i < 5; ++i)
      threads.Post(
          slow, [](const Status&) {}, "slow");
    threads.Post([&] { other.set_value(); }, [](const Status&) {}, "other");

    other.get_future().wait();
    EXPECT_EQ(done, 0);
    release.set_value();
  }
  EXPECT_EQ(done, 5);
  EXPECT_EQ(most, 1);
}

TEST(TaskThreadsTest, ATaskThatThrowsGivesItsKeyBack) {
  std::promise<std::string> told;
  std::promise<void> ran;
  TaskThreads threads(2);
  threads.Post([] { throw std::runtime_error("torn"); },
               [&](const Status& status) { told.set_value(status.message()); }, "key");
  threads.Post([&] { ran.set_value(); }, [](const Status&) {}, "key");

  EXPECT_NE(told.get_future().get().find("torn"), std::string::npos);
  ran.get_future().wait();
}

}  // namespace
}  // namespace graft::worker::agent
