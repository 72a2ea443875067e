#pragma once
/// Where the server and its workers meet: a Unix socket in a folder that only their user can enter.

#include <filesystem>
#include <optional>

#include "common/base/file.h"
#include "common/base/status.h"

namespace graft::server::supervisor {

/// sockaddr_un holds 108 bytes with the final zero.
inline constexpr size_t kMaxSocketPath = 107;

/// Removes its fallback folder, if it has one, when it goes away.
struct SocketPlace {
  std::filesystem::path path;          ///< Absolute, at most kMaxSocketPath bytes.
  std::optional<TempFolder> fallback;  ///< Set if the data folder's path is too long.
};

/// Prepares `<data>/run/server.sock`: makes the folder with mode 0700 and removes a dead server's
/// socket. Requires: the caller holds the data folder's lock, so that no living server's socket is
/// removed.
/// Errors: PermissionDenied or Internal with the path.
StatusOr<SocketPlace> PrepareSocket(const std::filesystem::path& data);

}  // namespace graft::server::supervisor
