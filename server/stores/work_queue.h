#pragma once
/// A thread that takes works in the order they came, many at a time.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "server/core/store.h"

namespace graft::server::stores {

/// Thread safety: thread-safe.
class WorkQueue {
 public:
  struct Item {
    core::Store::Work work;
    core::Store::Done done;
  };
  /// Runs a batch; returns the end of each item, in order.
  using Run = std::function<std::vector<Status>(const std::vector<Item>&)>;
  /// Calls `run` on a thread of its own with what waits, up to `max_batch` at once, and then each
  /// item's `done`, once; what `run` throws is the end of all of them.
  WorkQueue(size_t max_batch, Run run);
  ~WorkQueue() { Stop(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// After Stop: `done` is called at once, with Unavailable.
  void Push(Item item);
  /// Runs what waits, then ends the thread.
  void Stop();

 private:
  void Loop();

  const size_t max_batch_;
  const Run run_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  bool stopping_ = false;
  bool stopped_ = false;
  std::thread thread_;  ///< Last: it uses the others.
};

}  // namespace graft::server::stores
