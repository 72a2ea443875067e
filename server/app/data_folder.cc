#include "server/app/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "common/base/file.h"
#include "common/base/ids.h"

namespace graft::server::app {

namespace fs = std::filesystem;
namespace {

/// What killed processes were writing with WriteFileDurably.
void RemoveTemporaries(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool temporary = it->path().filename().string().find(".tmp.") != std::string::npos;
    if (temporary && it->is_regular_file(ignored)) fs::remove(it->path(), ignored);
  }
}

}  // namespace

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      server_id_(std::move(other.server_id_)),
      lock_(std::exchange(other.lock_, -1)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

StatusOr<DataFolder> DataFolder::Open(const fs::path& path) {
  DataFolder folder;
  std::error_code error;
  folder.path_ = fs::absolute(path, error);
  if (!error && fs::create_directories(folder.path_, error) && !error) {
    fs::permissions(folder.path_, fs::perms::owner_all, error);
  }
  if (error) return ErrnoToStatus(error.value(), "cannot make the data folder " + path.string());

  const fs::path lock = folder.path_ / "lock";
  folder.lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (folder.lock_ < 0) return ErrnoToStatus(errno, "cannot open " + lock.string());
  if (::flock(folder.lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoToStatus(errno, "cannot lock " + lock.string());
    return FailedPreconditionError("another graft-server uses the data folder " +
                                   folder.path_.string() +
                                   "; stop it, or give this one another --data");
  }

  // The lock says that nobody writes now. Objects are the object store's, which may be shared.
  RemoveTemporaries(folder.path_);
  RemoveTemporaries(folder.path_ / "cache");

  const fs::path id = folder.path_ / "server-id";
  if (auto read = ReadFile(id, 256); read.ok() && IsValidName(*read)) {
    folder.server_id_ = *read;
  } else {
    folder.server_id_ = NewId(SystemClock().Now());
    GRAFT_RETURN_IF_ERROR(WriteFileDurably(id, folder.server_id_));
  }
  return folder;
}

}  // namespace graft::server::app
