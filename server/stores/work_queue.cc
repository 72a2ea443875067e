#include "server/stores/work_queue.h"

#include <utility>

#include "common/base/guard.h"

namespace graft::server::stores {

WorkQueue::WorkQueue(size_t max_batch, Run run)
    : max_batch_(max_batch),
      run_(std::move(run)),
      thread_(StartThread([this] { Loop(); }, [](const Status&) {})) {}

void WorkQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void WorkQueue::Push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      items_.push_back(std::move(item));
      wake_.notify_one();
      return;
    }
  }
  item.done(UnavailableError("job store: it is closing"));
}

void WorkQueue::Loop() {
  while (true) {
    std::vector<Item> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
      if (items_.empty()) {
        stopped_ = true;
        return;
      }
      while (!items_.empty() && batch.size() < max_batch_) {
        batch.push_back(std::move(items_.front()));
        items_.pop_front();
      }
    }
    auto results = Contained([&]() -> StatusOr<std::vector<Status>> { return run_(batch); });
    for (size_t i = 0; i < batch.size(); ++i) {
      static_cast<void>(Contained(
          [&] { batch[i].done(results.ok() ? std::move((*results)[i]) : results.status()); }));
    }
  }
}

}  // namespace graft::server::stores
