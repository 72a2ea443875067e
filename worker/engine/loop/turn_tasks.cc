#include "worker/engine/loop/turn_tasks.h"

#include <utility>

namespace graft::worker::engine {

void TurnTasks::Add(Task task) {
  Status failed;
  {
    const std::lock_guard lock(mutex_);
    failed = closed_;
    if (failed.ok()) tasks_.push_back(std::move(task));
  }
  if (!failed.ok()) task.fail(failed);
}

bool TurnTasks::idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty();
}

void TurnTasks::Turn(const Yield& yield) {
  Task task;
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return;
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  if (!task.advance(yield)) return;
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
}

void TurnTasks::Close(const Status& status) {
  const std::lock_guard lock(mutex_);
  closed_ = status;
}

void TurnTasks::FailAll(const Status& status) {
  std::deque<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const Task& task : tasks) task.fail(status);
}

}  // namespace graft::worker::engine
