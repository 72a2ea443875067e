#include "server/stores/sqlite_store.h"

#include <sqlite3.h>

#include <utility>

#include "common/base/failpoint.h"
#include "server/stores/run_work.h"
#include "server/stores/sqlite_schema.h"
#include "server/stores/sqlite_transaction.h"

namespace graft::server::stores {
namespace {

/// Works that share one commit; the first isn't kept waiting without end.
constexpr size_t kMaxBatch = 256;

int OnWalCommit(void* checkpointer, sqlite3*, const char*, int wal_pages) {
  static_cast<WalCheckpointer*>(checkpointer)->Committed(wal_pages);
  return SQLITE_OK;
}

Status BeforeCommit() {
  GRAFT_FAILPOINT_STATUS("store.before_commit");
  return OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path, Clock& clock,
                                                         const SqliteOptions& options) {
  const auto in_file = [&](const Status& status) {
    return Status(status.code(), status.message() + " (" + path + ")");
  };
  std::unique_ptr<SqliteStore> store(new SqliteStore(clock));
  Sqlite::Options connection{options.vfs, options.busy_timeout, false};
  StatusOr<std::unique_ptr<Sqlite>> writer = Sqlite::Open(path, connection);
  if (!writer.ok()) return in_file(writer.status());
  store->writer_ = *std::move(writer);
  if (const Status status = Migrate(*store->writer_, options.busy_timeout); !status.ok())
    return in_file(status);
  auto checkpointer = WalCheckpointer::Open(path, connection);
  if (!checkpointer.ok()) return in_file(checkpointer.status());
  store->checkpointer_ = *std::move(checkpointer);
  // Also switches SQLite's own checkpoints off, which would run inside a commit.
  sqlite3_wal_hook(store->writer_->handle(), &OnWalCommit, store->checkpointer_.get());
  connection.read_only = true;
  StatusOr<std::unique_ptr<Sqlite>> reader = Sqlite::Open(path, connection);
  if (!reader.ok()) return in_file(reader.status());
  store->reader_ = *std::move(reader);
  store->writes_ = std::make_unique<WorkQueue>(
      kMaxBatch, [s = store.get()](const Batch& batch) { return s->RunWrites(batch); });
  store->reads_ = std::make_unique<WorkQueue>(
      1, [s = store.get()](const Batch& batch) { return std::vector{s->RunRead(batch[0])}; });
  return store;
}

SqliteStore::~SqliteStore() {
  // Both are there until both threads have ended: a `done` may still hand over.
  if (writes_ != nullptr) writes_->Stop();
  if (reads_ != nullptr) reads_->Stop();
}

void SqliteStore::Write(Work work, Done done) { writes_->Push({std::move(work), std::move(done)}); }
void SqliteStore::Read(Work work, Done done) { reads_->Push({std::move(work), std::move(done)}); }

void SqliteStore::OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

std::vector<Status> SqliteStore::RunWrites(const Batch& batch) {
  std::vector<Status> results(batch.size());
  const Status together = Commit(batch, 0, batch.size(), results);
  if (!together.ok()) {
    for (size_t i = 0; i < batch.size(); ++i) {
      // One that is too large for the disk must not take the others with it.
      if (batch.size() == 1 || together.code() != StatusCode::kResourceExhausted) {
        if (results[i].ok()) results[i] = together;
      } else if (const Status alone = Commit(batch, i, i + 1, results); !alone.ok()) {
        results[i] = alone;
      }
    }
  }
  return results;
}

Status SqliteStore::Commit(const Batch& batch, size_t first, size_t last,
                           std::vector<Status>& results) {
  writer_->TrimStatements();
  std::set<core::JobKey> changed;
  // What an exception left.
  if (writer_->InTransaction()) (void)writer_->Run("ROLLBACK");
  Status status = writer_->Run("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  for (size_t i = first; i < last && status.ok(); ++i) {
    status = RunInSavepoint(batch[i].work, changed, results[i]);
  }
  if (status.ok()) status = BeforeCommit();
  if (status.ok()) status = writer_->Run("COMMIT");
  if (!status.ok()) {
    if (writer_->InTransaction()) (void)writer_->Run("ROLLBACK");
    return status;
  }
  GRAFT_FAILPOINT("store.after_commit");
  if (!changed.empty()) Tell(changed);
  return OkStatus();
}

Status SqliteStore::RunInSavepoint(const Work& work, std::set<core::JobKey>& changed,
                                   Status& result) {
  GRAFT_RETURN_IF_ERROR(writer_->Run("SAVEPOINT work"));
  SqliteTransaction transaction(*writer_, SqliteTransaction::Mode::kReadWrite, clock_.Now());
  result = RunWork(work, transaction);
  // A full disk may have rolled everything back already.
  if (!writer_->InTransaction()) {
    return result.ok() ? UnavailableError("job store: the transaction was rolled back") : result;
  }
  if (!result.ok()) GRAFT_RETURN_IF_ERROR(writer_->Run("ROLLBACK TO work"));
  GRAFT_RETURN_IF_ERROR(writer_->Run("RELEASE work"));
  if (result.ok()) changed.insert(transaction.changed().begin(), transaction.changed().end());
  return OkStatus();
}

void SqliteStore::Tell(const std::set<core::JobKey>& changed) {
  const std::vector<core::JobKey> keys(changed.begin(), changed.end());
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& listener : listeners_) listener(keys);
}

Status SqliteStore::RunRead(const WorkQueue::Item& item) {
  reader_->TrimStatements();
  if (reader_->InTransaction()) (void)reader_->Run("ROLLBACK");
  Status status = reader_->Run("BEGIN");
  if (status.ok()) {
    SqliteTransaction transaction(*reader_, SqliteTransaction::Mode::kRead, clock_.Now());
    status = RunWork(item.work, transaction);
    // A snapshot that stayed open would keep the WAL from being moved.
    if (const Status end = reader_->Run("COMMIT"); !end.ok() && status.ok()) status = end;
    if (reader_->InTransaction()) (void)reader_->Run("ROLLBACK");
  }
  return status;
}

}  // namespace graft::server::stores
