#pragma once
/// The default store: one SQLite file, WAL, synchronous=FULL. A writer thread takes all works that
/// wait, runs each inside a savepoint, and commits them together (one fsync); a reader thread has a
/// connection of its own. Several stores, also of several processes, may share one file: every
/// write begins IMMEDIATE, so that one at a time reads and writes.

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "server/core/store.h"
#include "server/stores/sqlite.h"
#include "server/stores/wal_checkpointer.h"
#include "server/stores/work_queue.h"

namespace graft::server::stores {

struct SqliteOptions {
  std::string vfs;  ///< SQLite's name of the file layer; empty: the default one.
  /// How long a write waits for another process before it is Unavailable.
  std::chrono::milliseconds busy_timeout{10'000};
};

/// Thread safety: thread-safe.
class SqliteStore : public core::Store {
 public:
  /// Opens or makes the file and brings its schema up to date. Borrows the clock.
  /// Errors: DataLoss if the file is damaged or another program's; FailedPrecondition if a newer
  /// graft wrote it; PermissionDenied; ResourceExhausted.
  static StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                     Clock& clock = SystemClock(),
                                                     const SqliteOptions& options = {});
  /// Runs what was handed over, then stops.
  ~SqliteStore() override;

  void Write(Work work, Done done) override;
  void Read(Work work, Done done) override;
  void OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) override;

 private:
  using Batch = std::vector<WorkQueue::Item>;
  explicit SqliteStore(Clock& clock) : clock_(clock) {}

  std::vector<Status> RunWrites(const Batch& batch);
  /// Runs items [first, last) in one transaction. `results` get what each work returned. Returns
  /// the error that kept all of them from being committed, if there was one.
  Status Commit(const Batch& batch, size_t first, size_t last, std::vector<Status>& results);
  /// Runs one work in a savepoint. Returns an error only if the transaction is no longer usable.
  Status RunInSavepoint(const Work& work, std::set<core::JobKey>& changed, Status& result);
  Status RunRead(const WorkQueue::Item& item);
  void Tell(const std::set<core::JobKey>& changed);

  Clock& clock_;
  std::unique_ptr<Sqlite> writer_, reader_;
  std::unique_ptr<WalCheckpointer> checkpointer_;
  std::mutex listeners_mutex_;
  std::vector<std::function<void(const std::vector<core::JobKey>&)>> listeners_;
  std::unique_ptr<WorkQueue> writes_, reads_;  ///< Last: their threads use the others.
};

}  // namespace graft::server::stores
