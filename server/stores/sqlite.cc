#include "server/stores/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace graft::server::stores {
namespace {

/// Queries are put together from conditions; far fewer texts than this are in use.
constexpr size_t kMaxStatements = 200;

Status LastError(sqlite3* db) {
  if (db == nullptr) return SqliteError(SQLITE_NOMEM, "out of memory");
  const int code = sqlite3_extended_errcode(db);
  const int error = sqlite3_system_errno(db);
  // SQLite calls only ENOSPC a full disk.
  if ((code & 0xFF) == SQLITE_IOERR && (error == EDQUOT || error == EFBIG)) {
    return SqliteError(SQLITE_FULL,
                       std::string(sqlite3_errmsg(db)) + " (" + std::strerror(error) + ")");
  }
  return SqliteError(code, sqlite3_errmsg(db));
}

}  // namespace

Status SqliteError(int code, const std::string& text) {
  const std::string what = "job store: " + text;
  if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) {
    return AlreadyExistsError(what);
  }
  if (code == SQLITE_CONSTRAINT_FOREIGNKEY) return NotFoundError(what);
  switch (code & 0xFF) {
    case SQLITE_OK:
      return OkStatus();
    case SQLITE_FULL:
      return ResourceExhaustedError(what + "; free some disk space, then try again");
    case SQLITE_NOMEM:
      return ResourceExhaustedError(what);
    case SQLITE_IOERR:
      return UnavailableError(what + "; look at the disk that holds it");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return UnavailableError(what + ": another process holds it; try again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLossError(what +
                           "; restore the file from a backup, or move it away to start anew");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return PermissionDeniedError(what);
    default:
      return InternalError(what);
  }
}

Statement::~Statement() {
  if (handle_ == nullptr) return;
  // An unfinished SELECT would keep its snapshot open.
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_), handle_(std::exchange(other.handle_, nullptr)), next_(other.next_) {}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(handle_, next_++, value);
  return *this;
}

Statement& Statement::Bind(std::string_view value) {
  sqlite3_bind_text64(handle_, next_++, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return LastError(db_);
}

StatusOr<int64_t> Statement::Run() {
  while (true) {
    GRAFT_ASSIGN_OR_RETURN(const bool more, Step());
    if (!more) return sqlite3_changes64(db_);
  }
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

StatusOr<std::unique_ptr<Sqlite>> Sqlite::Open(const std::string& path, const Options& options) {
  std::unique_ptr<Sqlite> db(new Sqlite());
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (options.read_only ? 0 : SQLITE_OPEN_CREATE);
  const char* vfs = options.vfs.empty() ? nullptr : options.vfs.c_str();
  if (sqlite3_open_v2(path.c_str(), &db->handle_, flags, vfs) != SQLITE_OK) {
    return LastError(db->handle_);
  }
  sqlite3_busy_timeout(db->handle_, static_cast<int>(options.busy_timeout.count()));
  GRAFT_RETURN_IF_ERROR(db->Execute("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON"));
  // Not SQLITE_OPEN_READONLY: even a reader may have to repair the index of the WAL.
  if (options.read_only) GRAFT_RETURN_IF_ERROR(db->Execute("PRAGMA query_only=ON"));
  return db;
}

Sqlite::~Sqlite() {
  ForgetStatements();
  sqlite3_close(handle_);
}

void Sqlite::ForgetStatements() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
}

void Sqlite::TrimStatements() {
  if (statements_.size() > kMaxStatements) ForgetStatements();
}

bool Sqlite::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Status Sqlite::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return OkStatus();
  return LastError(handle_);
}

Status Sqlite::Run(const std::string& sql) {
  GRAFT_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  return statement.Run().status();
}

StatusOr<Statement> Sqlite::Prepare(const std::string& sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return Statement(handle_, found->second);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return LastError(handle_);
  }
  statements_.emplace(sql, statement);
  return Statement(handle_, statement);
}

StatusOr<int64_t> Sqlite::QueryInteger(const std::string& sql) {
  GRAFT_ASSIGN_OR_RETURN(Statement query, Prepare(sql));
  GRAFT_RETURN_IF_ERROR(query.Step().status());
  return query.Integer(0);
}

StatusOr<std::string> Sqlite::QueryText(const std::string& sql) {
  GRAFT_ASSIGN_OR_RETURN(Statement query, Prepare(sql));
  GRAFT_RETURN_IF_ERROR(query.Step().status());
  return std::string(query.Text(0));
}

}  // namespace graft::server::stores
