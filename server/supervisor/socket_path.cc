#include "server/supervisor/socket_path.h"

#include <system_error>

namespace graft::server::supervisor {
namespace {

/// The workers' sockets lie beside the server's and have slightly longer names.
constexpr size_t kRoomForOthers = 8;

}  // namespace

StatusOr<SocketPlace> PrepareSocket(const std::filesystem::path& data) {
  namespace fs = std::filesystem;
  std::error_code error;
  SocketPlace place;
  const fs::path folder = fs::absolute(data, error) / "run";
  place.path = folder / "server.sock";
  if (place.path.string().size() + kRoomForOthers > kMaxSocketPath) {
    GRAFT_ASSIGN_OR_RETURN(place.fallback, TempFolder::Create("graft"));
    place.path = place.fallback->path() / "server.sock";
    fs::permissions(place.fallback->path(), fs::perms::owner_all, error);
    if (error)
      return ErrnoToStatus(error.value(), "cannot close " + place.path.string() + " to others");
    return place;
  }
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return ErrnoToStatus(error.value(), "cannot prepare the folder " + folder.string());
  fs::remove(place.path, error);
  if (error)
    return ErrnoToStatus(error.value(), "cannot remove the old socket " + place.path.string());
  return place;
}

}  // namespace graft::server::supervisor
