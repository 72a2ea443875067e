#pragma once
/// A thin, checked layer over the SQLite C API: connection, statement, errors as Status.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace graft::server::stores {

/// A prepared statement in use; goes back to its connection, reset, when this goes away.
class Statement {
 public:
  Statement(sqlite3* db, sqlite3_stmt* handle) : db_(db), handle_(handle) {}
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  /// Binds the next parameter, from the first on. Text is copied.
  Statement& Bind(int64_t value);
  Statement& Bind(std::string_view value);
  /// Runs to the next row. True if there is one.
  StatusOr<bool> Step();
  /// Runs to the end. Returns how many rows it changed.
  StatusOr<int64_t> Run();
  /// Of the current row; columns count from 0.
  int64_t Integer(int column) const;
  std::string_view Text(int column) const;  ///< Valid until the next Step.

 private:
  sqlite3* db_;
  sqlite3_stmt* handle_;
  int next_ = 1;
};

/// One connection with its prepared statements. Thread safety: confined to one thread at a time.
class Sqlite {
 public:
  struct Options {
    std::string vfs;  ///< SQLite's name of the file layer; empty: the default one.
    /// How long to wait while another process writes.
    std::chrono::milliseconds busy_timeout{10'000};
    bool read_only = false;  ///< Refuses writes; the file must exist.
  };
  /// Opens or makes the file.
  /// Errors: DataLoss if it isn't a database; PermissionDenied; ResourceExhausted.
  static StatusOr<std::unique_ptr<Sqlite>> Open(const std::string& path, const Options& options);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  /// Runs statements that return nothing, separated by semicolons.
  Status Execute(const std::string& sql);
  /// The same for one statement that is kept compiled.
  Status Run(const std::string& sql);
  /// Compiles `sql` at its first use. Requires: no other use of the same text is under way.
  StatusOr<Statement> Prepare(const std::string& sql);
  /// The first column of the first row of a query.
  StatusOr<int64_t> QueryInteger(const std::string& sql);
  StatusOr<std::string> QueryText(const std::string& sql);
  bool InTransaction() const;
  /// Drops compiled statements if there are many. Requires: none is in use.
  void TrimStatements();
  sqlite3* handle() { return handle_; }

 private:
  Sqlite() = default;
  void ForgetStatements();

  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

/// A result code as a Status with a sentence: FULL -> ResourceExhausted, BUSY and IOERR ->
/// Unavailable, CORRUPT -> DataLoss, a constraint -> AlreadyExists or NotFound, ...
Status SqliteError(int code, const std::string& text);

}  // namespace graft::server::stores
