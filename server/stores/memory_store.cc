#include "server/stores/memory_store.h"

#include <utility>

#include "server/stores/memory_transaction.h"
#include "server/stores/run_work.h"

namespace graft::server::stores {

MemoryStore::MemoryStore(Clock& clock) : clock_(clock), tables_(std::make_unique<MemoryTables>()) {}
MemoryStore::~MemoryStore() = default;

void MemoryStore::Write(Work work, Done done) {
  Status status;
  std::vector<core::JobKey> changed;
  std::vector<std::function<void(const std::vector<core::JobKey>&)>> listeners;
  {
    const std::lock_guard lock(mutex_);
    MemoryTransaction transaction(*tables_, MemoryTransaction::Mode::kReadWrite, clock_.Now());
    status = RunWork(work, transaction);
    if (status.ok()) {
      changed.assign(transaction.changed().begin(), transaction.changed().end());
    } else {
      transaction.Undo();
    }
    listeners = listeners_;
  }
  if (!changed.empty()) {
    for (const auto& listener : listeners) listener(changed);
  }
  done(std::move(status));
}

void MemoryStore::Read(Work work, Done done) {
  Status status;
  {
    const std::lock_guard lock(mutex_);
    MemoryTransaction transaction(*tables_, MemoryTransaction::Mode::kRead, clock_.Now());
    status = RunWork(work, transaction);
  }
  done(std::move(status));
}

void MemoryStore::OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(listener));
}

}  // namespace graft::server::stores
