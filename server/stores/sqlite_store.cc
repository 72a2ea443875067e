#include "server/stores/sqlite_store.h"

#include <algorithm>
#include <set>

#include "common/base/failpoint.h"
#include "server/stores/sqlite.h"
#include "server/stores/sqlite_transaction.h"

namespace graft::server::stores {
namespace {

/// Works that share one commit, so that the first isn't kept waiting without end.
constexpr size_t kMaxBatch = 256;

/// Schema changes in order; user_version counts how many a file has had.
const std::vector<const char*> kMigrations = {
    "CREATE TABLE jobs ("
    "  tenant TEXT NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL,"
    "  create_time INTEGER NOT NULL, adapter TEXT NOT NULL, base TEXT NOT NULL, request_id TEXT,"
    "  lease_expiry INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX jobs_request ON jobs (tenant, request_id) WHERE request_id <> '';"
    "CREATE INDEX jobs_run ON jobs (state, base, priority DESC, create_time, id);"
    "CREATE INDEX jobs_id ON jobs (id);"
    "CREATE TABLE labels (tenant TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (tenant, key, value, id)) WITHOUT ROWID;"
    "CREATE INDEX labels_job ON labels (tenant, id);"
    "CREATE TABLE events (tenant TEXT NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, doc TEXT NOT NULL,"
    "  PRIMARY KEY (tenant, id, number)) WITHOUT ROWID;"
    "CREATE TABLE adapters (tenant TEXT NOT NULL, id TEXT NOT NULL, base TEXT NOT NULL, doc TEXT NOT NULL,"
    "  PRIMARY KEY (tenant, id)) WITHOUT ROWID;"
    "CREATE TABLE versions (tenant TEXT NOT NULL, adapter TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    "  doc TEXT NOT NULL, PRIMARY KEY (tenant, adapter, number)) WITHOUT ROWID;"
    "CREATE INDEX versions_hash ON versions (tenant, adapter, sha256, number);",
};

Status Migrate(Sqlite& db) {
  GRAFT_RETURN_IF_ERROR(db.Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
  GRAFT_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  GRAFT_ASSIGN_OR_RETURN(Statement read, Statement::Prepare(db, "PRAGMA user_version"));
  GRAFT_RETURN_IF_ERROR(read.Step().status());
  const int64_t version = read.Integer(0);
  read.Reset();
  if (version > static_cast<int64_t>(kMigrations.size())) {
    (void)db.Execute("ROLLBACK");
    return DataLossError("the job store was written by a newer graft; use that, or another --data folder");
  }
  for (size_t i = static_cast<size_t>(version); i < kMigrations.size(); ++i) GRAFT_RETURN_IF_ERROR(db.Execute(kMigrations[i]));
  GRAFT_RETURN_IF_ERROR(db.Execute("PRAGMA user_version=" + std::to_string(kMigrations.size())));
  return db.Execute("COMMIT");
}

}  // namespace

/// A connection with its prepared statements.
class SqliteStore::Connection {
 public:
  static StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, bool read_only) {
    auto connection = std::make_unique<Connection>();
    GRAFT_ASSIGN_OR_RETURN(connection->db, Sqlite::Open(path, read_only));
    if (!read_only) GRAFT_RETURN_IF_ERROR(Migrate(*connection->db));
    connection->statements = std::make_unique<StatementCache>(*connection->db);
    return connection;
  }
  std::unique_ptr<Sqlite> db;
  std::unique_ptr<StatementCache> statements;
};

StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path, Clock& clock) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(clock));
  GRAFT_ASSIGN_OR_RETURN(store->writer_, Connection::Open(path, false));
  GRAFT_ASSIGN_OR_RETURN(store->reader_, Connection::Open(path, true));
  store->write_thread_ = std::thread([s = store.get()] { s->WriteLoop(); });
  store->read_thread_ = std::thread([s = store.get()] { s->ReadLoop(); });
  return store;
}

SqliteStore::~SqliteStore() {
  for (Queue* queue : {&writes_, &reads_}) {
    const std::lock_guard lock(queue->mutex);
    queue->stopping = true;
    queue->wake.notify_all();
  }
  if (write_thread_.joinable()) write_thread_.join();
  if (read_thread_.joinable()) read_thread_.join();
}

void SqliteStore::Push(Queue& queue, Item item) {
  const std::lock_guard lock(queue.mutex);
  queue.items.push_back(std::move(item));
  queue.wake.notify_one();
}

void SqliteStore::Write(Work work, Done done) { Push(writes_, {std::move(work), std::move(done)}); }
void SqliteStore::Read(Work work, Done done) { Push(reads_, {std::move(work), std::move(done)}); }

void SqliteStore::OnJobsChanged(std::function<void(const std::vector<core::JobKey>&)> listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

void SqliteStore::WriteLoop() {
  for (;;) {
    std::vector<Item> batch;
    {
      std::unique_lock lock(writes_.mutex);
      writes_.wake.wait(lock, [this] { return writes_.stopping || !writes_.items.empty(); });
      if (writes_.items.empty()) return;
      while (!writes_.items.empty() && batch.size() < kMaxBatch) {
        batch.push_back(std::move(writes_.items.front()));
        writes_.items.pop_front();
      }
    }
    RunBatch(batch);
  }
}

void SqliteStore::RunBatch(std::vector<Item>& batch) {
  Sqlite& db = *writer_->db;
  std::vector<Status> results(batch.size());
  std::set<core::JobKey> changed;
  Status commit = db.Execute("BEGIN IMMEDIATE");
  if (commit.ok()) {
    for (size_t i = 0; i < batch.size() && commit.ok(); ++i) {
      commit = db.Execute("SAVEPOINT work");
      if (!commit.ok()) break;
      SqliteTransaction transaction(*writer_->statements, clock_.Now());
      results[i] = batch[i].work(transaction);
      if (results[i].ok()) {
        commit = db.Execute("RELEASE work");
        changed.insert(transaction.changed().begin(), transaction.changed().end());
      } else if (db.InTransaction()) {
        // A full disk may already have rolled everything back.
        commit = db.Execute("ROLLBACK TO work; RELEASE work");
      } else {
        commit = results[i];
      }
    }
    GRAFT_FAILPOINT("store.before_commit");
    if (commit.ok()) commit = db.Execute("COMMIT");
    if (!commit.ok() && db.InTransaction()) (void)db.Execute("ROLLBACK");
    GRAFT_FAILPOINT("store.after_commit");
  }
  if (commit.ok() && !changed.empty()) {
    const std::vector<core::JobKey> keys(changed.begin(), changed.end());
    const std::lock_guard lock(listeners_mutex_);
    for (const auto& listener : listeners_) listener(keys);
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].done(results[i].ok() ? commit : results[i]);
  }
}

void SqliteStore::ReadLoop() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(reads_.mutex);
      reads_.wake.wait(lock, [this] { return reads_.stopping || !reads_.items.empty(); });
      if (reads_.items.empty()) return;
      item = std::move(reads_.items.front());
      reads_.items.pop_front();
    }
    Status status = reader_->db->Execute("BEGIN");
    if (status.ok()) {
      SqliteTransaction transaction(*reader_->statements, clock_.Now());
      status = item.work(transaction);
      (void)reader_->db->Execute("COMMIT");
    }
    item.done(std::move(status));
  }
}

}  // namespace graft::server::stores
