#pragma once
/// The tables of a SQLite store, and how older files become current ones.

#include <chrono>

#include "common/base/status.h"
#include "server/stores/sqlite.h"

namespace graft::server::stores {

/// Makes or updates the tables in one transaction; several processes may do so at once.
/// Errors: DataLoss if the file is damaged or isn't graft's; FailedPrecondition if a newer graft
/// wrote it; Unavailable if other processes keep it locked for `patience`.
Status Migrate(Sqlite& db, std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace graft::server::stores
