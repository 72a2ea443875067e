#include "server/stores/sqlite.h"

#include <sqlite3.h>

#include <utility>

namespace graft::server::stores {

StatusOr<std::unique_ptr<Sqlite>> Sqlite::Open(const std::string& path, bool read_only) {
  std::unique_ptr<Sqlite> db(new Sqlite());
  const int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &db->handle_, flags, nullptr) != SQLITE_OK) return db->Error("open " + path);
  sqlite3_extended_result_codes(db->handle_, 1);
  // Another server on the same file may hold the lock for one commit.
  sqlite3_busy_timeout(db->handle_, 10'000);
  return db;
}

Sqlite::~Sqlite() { sqlite3_close_v2(handle_); }

bool Sqlite::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }

Status Sqlite::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return OkStatus();
  return Error(sql.substr(0, 60));
}

Status Sqlite::Error(const std::string& what) const {
  const std::string text = "job store: " + what + ": " + (handle_ != nullptr ? sqlite3_errmsg(handle_) : "out of memory");
  switch ((handle_ != nullptr ? sqlite3_errcode(handle_) : SQLITE_NOMEM) & 0xFF) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ResourceExhaustedError(text + "; free some space and try again");
    case SQLITE_IOERR:
      // Writing past a quota or a file-size limit also comes back as an I/O error.
      return UnavailableError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return UnavailableError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLossError(text + "; restore the file from a backup, or move it away to start anew");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return PermissionDeniedError(text);
    default:
      return InternalError(text);
  }
}

Statement::~Statement() { sqlite3_finalize(handle_); }
Statement::Statement(Statement&& other) noexcept { *this = std::move(other); }
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(handle_, other.handle_);
  std::swap(next_, other.next_);
  return *this;
}

StatusOr<Statement> Statement::Prepare(Sqlite& db, std::string_view sql) {
  Statement statement;
  statement.db_ = &db;
  if (sqlite3_prepare_v3(db.handle(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement.handle_, nullptr) != SQLITE_OK) {
    return db.Error("prepare " + std::string(sql.substr(0, 60)));
  }
  return statement;
}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(handle_, next_++, value);
  return *this;
}

Statement& Statement::Bind(std::string_view value) {
  sqlite3_bind_text(handle_, next_++, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  return *this;
}

StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return db_->Error("step");
}

Status Statement::Run() {
  const StatusOr<bool> step = Step();
  Reset();
  return step.status();
}

void Statement::Reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  next_ = 1;
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return text == nullptr ? std::string() : std::string(text, static_cast<size_t>(sqlite3_column_bytes(handle_, column)));
}

}  // namespace graft::server::stores
