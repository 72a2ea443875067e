#pragma once
/// A store in memory: for tests, and the plainest statement of what a store does.

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/ids.h"
#include "server/core/store.h"

namespace graft::server::stores {

struct MemoryTables;

/// Thread safety: thread-safe; works and callbacks run on the caller's thread, works one at a time.
class MemoryStore : public core::Store {
 public:
  /// Borrows the clock.
  explicit MemoryStore(Clock& clock = SystemClock());
  ~MemoryStore() override;
  void Write(Work work, Done done) override;
  void Read(Work work, Done done) override;
  void OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) override;

 private:
  Clock& clock_;
  std::mutex mutex_;
  std::unique_ptr<MemoryTables> tables_;
  std::vector<std::function<void(const std::vector<core::JobKey>&)>> listeners_;
};

}  // namespace graft::server::stores
