#pragma once
/// A few threads for work that blocks. What a task throws is told to who waits for it; the thread
/// goes on with the next. Tasks of one key run one at a time, so that whoever has slow ones holds
/// one thread.

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
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
  /// Runs `task` on one of the threads; `failed` is told there what it threw. An empty key is
  /// nobody's.
  void Post(std::function<void()> task, std::function<void(const Status&)> failed,
            std::string key = {}) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back({std::move(task), std::move(failed), std::move(key)});
    }
    wake_.notify_one();
  }

 private:
  struct Task {
    std::function<void()> run;
    std::function<void(const Status&)> failed;
    std::string key;
  };

  /// The first task that may run now, or the end. Requires: mutex_.
  std::deque<Task>::iterator Next() {
    return std::ranges::find_if(tasks_, [this](const Task& task) {
      return task.key.empty() || !running_.contains(task.key);
    });
  }

  void Run() {
    for (;;) {
      Task task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock,
                   [this] { return Next() != tasks_.end() || (stopping_ && tasks_.empty()); });
        const auto next = Next();
        if (next == tasks_.end()) return;
        task = std::move(*next);
        tasks_.erase(next);
        if (!task.key.empty()) running_.insert(task.key);
      }
      if (const Status status = Contained(task.run); !status.ok())
        static_cast<void>(Contained([&] { task.failed(status); }));
      if (task.key.empty()) continue;
      {
        const std::lock_guard lock(mutex_);
        running_.erase(task.key);
      }
      wake_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::set<std::string> running_;  ///< Keys of the tasks that run.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace graft::worker::agent
