#pragma once
/// A thin, checked layer over the SQLite C API: connection, statement, errors as Status.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace graft::server::stores {

/// One connection. Thread safety: confined to one thread at a time.
class Sqlite {
 public:
  /// Opens or makes the file. Errors: DataLoss if it isn't a database; PermissionDenied; ResourceExhausted.
  static StatusOr<std::unique_ptr<Sqlite>> Open(const std::string& path, bool read_only);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  Status Execute(const std::string& sql);
  /// The last error as a Status: SQLITE_FULL -> ResourceExhausted, BUSY -> Unavailable, CORRUPT -> DataLoss, ...
  Status Error(const std::string& what) const;
  bool InTransaction() const;
  sqlite3* handle() { return handle_; }

 private:
  Sqlite() = default;
  sqlite3* handle_ = nullptr;
};

/// A prepared statement, compiled once and reset between uses.
class Statement {
 public:
  Statement() = default;
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  static StatusOr<Statement> Prepare(Sqlite& db, std::string_view sql);
  /// Binds the next parameter, from the first after each Reset.
  Statement& Bind(int64_t value);
  Statement& Bind(std::string_view value);  ///< Copied.
  /// Runs to the next row. True if there is one.
  StatusOr<bool> Step();
  /// Runs to the end and resets.
  Status Run();
  void Reset();
  int64_t Integer(int column) const;
  std::string Text(int column) const;

 private:
  Sqlite* db_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
  int next_ = 1;
};

}  // namespace graft::server::stores
