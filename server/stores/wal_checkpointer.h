#pragma once
/// Moves what the WAL holds into the database file, on a thread and connection of its own, so that
/// no commit waits for it.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/stores/sqlite.h"

namespace graft::server::stores {

/// Thread safety: thread-safe.
class WalCheckpointer {
 public:
  static StatusOr<std::unique_ptr<WalCheckpointer>> Open(const std::string& path,
                                                         const Sqlite::Options& options);
  ~WalCheckpointer();

  /// Told after each commit how long the WAL is.
  void Committed(int wal_pages);

 private:
  explicit WalCheckpointer(std::unique_ptr<Sqlite> db);
  void Loop();

  std::unique_ptr<Sqlite> db_;
  std::mutex mutex_;
  std::condition_variable wake_;
  int wal_pages_ = 0;  ///< 0: nothing to do.
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace graft::server::stores
