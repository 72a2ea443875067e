#pragma once
/// Who is taken for one of the workers. Thread safety: const after construction.

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::server::calls {

struct WorkerAccess {
  bool everyone = false;  ///< On the Unix socket, which only this user can open.
  std::string token;      ///< Else callers bear this secret; empty: nobody may.

  /// OK if the bearer of `bearer` is a worker. Errors: PermissionDenied, saying what to set.
  Status Check(std::string_view bearer) const;
};

}  // namespace graft::server::calls
