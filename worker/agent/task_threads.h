#pragma once
/// A few threads for work that blocks. What a task throws is told to who waits for it; the thread
/// goes on with the next.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/guard.h"
#include "common/base/status.h"

namespace graft::worker::agent {

/// Thread safety: thread-safe. Destruction runs what is queued, then joins.
class TaskThreads {
 public:
  explicit TaskThreads(int threads) {
    for (int i = 0; i < threads; ++i)
      threads_.push_back(StartThread([this] { Run(); }, [](const Status&) {}));
  }
  ~TaskThreads() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  /// Runs `task` on one of the threads; `failed` is told there what it threw.
  void Post(std::function<void()> task, std::function<void(const Status&)> failed) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back({std::move(task), std::move(failed)});
    }
    wake_.notify_one();
  }

 private:
  struct Task {
    std::function<void()> run;
    std::function<void(const Status&)> failed;
  };

  void Run() {
    for (;;) {
      Task task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      if (const Status status = Contained(task.run); !status.ok())
        static_cast<void>(Contained([&] { task.failed(status); }));
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace graft::worker::agent
