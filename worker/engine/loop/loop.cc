#include "worker/engine/loop/loop.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "common/base/guard.h"

namespace graft::worker::engine {

namespace {

/// Nobody may wait forever for a thread that has gone.
Status Stopping() { return UnavailableError("the worker is stopping"); }

}  // namespace

void Loop::Start() {
  thread_ = StartThread([this] { Run(); }, [](const Status&) { std::abort(); });
}

void Loop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ForEachClient([](Client& client) { client.Close(Stopping()); });
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) tasks_.push_back(std::exchange(task, nullptr));
  }
  // Whoever waits for it must not wait forever; short tasks touch nothing of the loop's.
  if (task) return task();
  wake_.notify_all();
}

void Loop::Wake() {
  // The lock orders what the client took in against the thread's check for work, so that the
  // wake-up can't be lost.
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

void Loop::ForEachClient(const std::function<void(Client&)>& body) const {
  for (ForegroundClient* client : clients_.foreground) body(*client);
  for (BackgroundClient* client : clients_.background) body(*client);
}

bool Loop::ForegroundIdle() const {
  return std::all_of(clients_.foreground.begin(), clients_.foreground.end(),
                     [](const ForegroundClient* client) { return client->idle(); });
}

bool Loop::AllIdle() const {
  return tasks_.empty() && ForegroundIdle() &&
         std::all_of(clients_.background.begin(), clients_.background.end(),
                     [](const BackgroundClient* client) { return client->idle(); });
}

void Loop::RunForeground() {
  const Yield run_task = [this] { (void)RunTask(); };
  std::vector<int64_t> left;
  for (ForegroundClient* client : clients_.foreground) left.push_back(client->WaitingRows());
  for (TaskTurn turn = TaskTurn::kRan; turn != TaskTurn::kStopping;) {
    bool any_left = false;
    for (size_t i = 0; i < left.size(); ++i) {
      const int64_t ran = left[i] > 0 ? clients_.foreground[i]->Turn(left[i], run_task) : 0;
      left[i] = ran > 0 ? left[i] - ran : 0;
      any_left |= left[i] > 0;
    }
    turn = RunTask();
    if (!any_left && (turn == TaskTurn::kNone || !ForegroundIdle())) return;
  }
}

Loop::TaskTurn Loop::RunTask() {
  std::function<void()> task;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return TaskTurn::kStopping;
    if (tasks_.empty()) return TaskTurn::kNone;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
  return TaskTurn::kRan;
}

void Loop::Run() {
  const Yield yield = [this] { RunForeground(); };
  for (;;) {
    RunForeground();
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !AllIdle(); });
      if (stopping_) break;
    }
    for (BackgroundClient* client : clients_.background) client->Turn(yield);
  }
  for (const std::function<void()>& task : tasks_) task();
  tasks_.clear();
  ForEachClient([](Client& client) { client.FailAll(Stopping()); });
}

}  // namespace graft::worker::engine
