#include "server/stores/sqlite_schema.h"
#include "common/base/utf8.h"

#include <sqlite3.h>

#include <string>
#include <thread>
#include <vector>

namespace graft::server::stores {
namespace {

/// "GRFT": tells graft's files from other SQLite files.
constexpr int64_t kApplicationId = 0x47524654;

/// Whole files are only checked up to this size; beyond it damage shows where it is read.
constexpr int64_t kMaxCheckedPages = 16'384;

/// Schema changes in order; user_version counts how many a file has had. Never edit one that was
/// released. A row's document (row_json.h) holds all of it; columns repeat what queries look for.
/// States in conditions: 1 VALIDATING, 2 QUEUED, 3 RUNNING.
const std::vector<const char*>& Migrations() {
  static const std::vector<const char*> kMigrations = {
      R"sql(
CREATE TABLE jobs (
  row INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, state INTEGER NOT NULL,
  base TEXT NOT NULL, adapter TEXT NOT NULL, priority INTEGER NOT NULL,
  create_time INTEGER NOT NULL, request_id TEXT NOT NULL,
  lease_worker TEXT NOT NULL, lease_expiry INTEGER NOT NULL,
  doc TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX jobs_key ON jobs (tenant, id);
CREATE UNIQUE INDEX jobs_request ON jobs (tenant, request_id) WHERE request_id <> '';
CREATE INDEX jobs_state ON jobs (state, tenant, id);
CREATE INDEX jobs_adapter ON jobs (tenant, adapter, id);
CREATE INDEX jobs_validate ON jobs (priority DESC, create_time, id, tenant) WHERE state = 1;
CREATE INDEX jobs_run ON jobs (base, priority DESC, create_time, id, tenant) WHERE state = 2;
CREATE INDEX jobs_expiry ON jobs (lease_expiry, id, tenant) WHERE state = 3;
CREATE INDEX jobs_worker ON jobs (lease_worker) WHERE lease_worker <> '';

CREATE TABLE labels (
  key TEXT NOT NULL, value TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  PRIMARY KEY (key, value, job)) STRICT, WITHOUT ROWID;
CREATE INDEX labels_job ON labels (job);

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, number INTEGER NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (job, number)) STRICT, WITHOUT ROWID;

CREATE TABLE adapters (
  tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, base TEXT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
CREATE INDEX adapters_base ON adapters (tenant, base, id);

CREATE TABLE versions (
  tenant TEXT NOT NULL, adapter TEXT NOT NULL, number INTEGER NOT NULL,
  sha256 TEXT NOT NULL, request_id TEXT NOT NULL, doc TEXT NOT NULL,
  PRIMARY KEY (tenant, adapter, number),
  FOREIGN KEY (tenant, adapter) REFERENCES adapters (tenant, id) ON DELETE CASCADE)
  STRICT, WITHOUT ROWID;
CREATE INDEX versions_hash ON versions (tenant, adapter, sha256, number);
CREATE UNIQUE INDEX versions_request ON versions (tenant, request_id) WHERE request_id <> '';
)sql",
  };
  return kMigrations;
}

Status CheckFile(Sqlite& db) {
  GRAFT_ASSIGN_OR_RETURN(const int64_t pages, db.QueryInteger("PRAGMA page_count"));
  if (pages > kMaxCheckedPages) return OkStatus();
  const StatusOr<std::string> verdict = db.QueryText("PRAGMA quick_check(1)");
  if (!verdict.ok()) return verdict.status();
  if (*verdict == "ok") return OkStatus();
  return DataLossError("the job store's file is damaged (" + Printable(*verdict, 200) +
                       "); restore it from a backup, or move it away to start anew");
}

Status Update(Sqlite& db) {
  GRAFT_ASSIGN_OR_RETURN(const int64_t version, db.QueryInteger("PRAGMA user_version"));
  GRAFT_ASSIGN_OR_RETURN(const int64_t application, db.QueryInteger("PRAGMA application_id"));
  GRAFT_ASSIGN_OR_RETURN(const int64_t tables,
                         db.QueryInteger("SELECT COUNT(*) FROM sqlite_schema"));
  const bool empty = tables == 0 && version == 0;
  if (!empty && application != kApplicationId) {
    return DataLossError("the job store's file is a database of another program; move it away");
  }
  const auto known = static_cast<int64_t>(Migrations().size());
  if (version > known) {
    return FailedPreconditionError(
        "the job store was written by a newer graft; use that one, or another data folder");
  }
  if (version == known) return OkStatus();
  for (int64_t i = version; i < known; ++i) {
    GRAFT_RETURN_IF_ERROR(db.Execute(Migrations()[static_cast<size_t>(i)]));
  }
  return db.Execute("PRAGMA application_id=" + std::to_string(kApplicationId) +
                    "; PRAGMA user_version=" + std::to_string(known));
}

/// The switch to WAL does not wait for the busy timeout when another process makes it too.
Status SwitchToWal(Sqlite& db, std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (true) {
    const Status status = db.Execute("PRAGMA journal_mode=WAL");
    const bool busy = !status.ok() && (sqlite3_errcode(db.handle()) & 0xFF) == SQLITE_BUSY;
    if (!busy || std::chrono::steady_clock::now() >= give_up) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

Status Migrate(Sqlite& db, std::chrono::milliseconds patience) {
  GRAFT_RETURN_IF_ERROR(SwitchToWal(db, patience));
  GRAFT_RETURN_IF_ERROR(CheckFile(db));
  GRAFT_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  Status status = Update(db);
  if (status.ok()) status = db.Execute("COMMIT");
  if (!status.ok() && db.InTransaction()) (void)db.Execute("ROLLBACK");
  return status;
}

}  // namespace graft::server::stores
