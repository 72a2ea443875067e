#include "server/stores/wal_checkpointer.h"

#include <sqlite3.h>

#include <utility>

#include "common/base/guard.h"

namespace graft::server::stores {
namespace {

/// From here on (4 MB) the WAL is worth moving.
constexpr int kWorthwhile = 1'000;
/// From here on (64 MB) writers have to wait for it: they outrun the quiet way.
constexpr int kTooLong = 16'000;

}  // namespace

StatusOr<std::unique_ptr<WalCheckpointer>> WalCheckpointer::Open(const std::string& path,
                                                                 const Sqlite::Options& options) {
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<Sqlite> db, Sqlite::Open(path, options));
  return std::unique_ptr<WalCheckpointer>(new WalCheckpointer(std::move(db)));
}

WalCheckpointer::WalCheckpointer(std::unique_ptr<Sqlite> db)
    : db_(std::move(db)), thread_(StartThread([this] { Loop(); }, [](const Status&) {})) {}

WalCheckpointer::~WalCheckpointer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void WalCheckpointer::Committed(int wal_pages) {
  if (wal_pages < kWorthwhile) return;
  {
    const std::lock_guard lock(mutex_);
    wal_pages_ = wal_pages;
  }
  wake_.notify_one();
}

void WalCheckpointer::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || wal_pages_ != 0; });
    if (stopping_) return;
    const int mode = wal_pages_ < kTooLong ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
    wal_pages_ = 0;
    lock.unlock();
    // A failure (disk full, another process at it) loses nothing: the next commit asks again.
    sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, mode, nullptr, nullptr);
    lock.lock();
  }
}

}  // namespace graft::server::stores
