#pragma once
/// The default store: one SQLite file, WAL, synchronous=FULL. A writer thread takes all works that wait, runs each inside a
/// savepoint, and commits them together (one fsync); a reader thread has a connection of its own.
/// Several stores, also of several processes, may share one file: every transaction begins IMMEDIATE.

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/ids.h"
#include "server/core/store.h"

namespace graft::server::stores {

/// Thread safety: thread-safe.
class SqliteStore : public core::Store {
 public:
  /// Opens or makes the file and brings its schema up to date. Borrows the clock.
  /// Errors:    DataLoss if the file is damaged or of a newer graft; PermissionDenied; ResourceExhausted.
  static StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path, Clock& clock = SystemClock());
  /// Runs what was handed over, then stops.
  ~SqliteStore() override;

  void Write(Work work, Done done) override;
  void Read(Work work, Done done) override;
  void OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) override;

 private:
  class Connection;
  struct Item {
    Work work;
    Done done;
  };
  struct Queue {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Item> items;
    bool stopping = false;
  };
  explicit SqliteStore(Clock& clock) : clock_(clock) {}
  void WriteLoop();
  void ReadLoop();
  void RunBatch(std::vector<Item>& batch);
  static void Push(Queue& queue, Item item);

  Clock& clock_;
  std::unique_ptr<Connection> writer_, reader_;
  Queue writes_, reads_;
  std::mutex listeners_mutex_;
  std::vector<std::function<void(const std::vector<core::JobKey>&)>> listeners_;
  std::thread write_thread_, read_thread_;
};

}  // namespace graft::server::stores
