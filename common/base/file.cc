#include "common/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "common/base/failpoint.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status WriteAll(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), size_t{1} << 24));
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoToStatus(errno, "write " + name);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

}  // namespace

Status ErrnoToStatus(int error, const std::string& what) {
  const std::string text = what + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ResourceExhaustedError(text + "; free some space and try again");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ResourceExhaustedError(text);
    default:
      return InternalError(text);
  }
}

StatusOr<std::string> ReadFile(const fs::path& path, uint64_t max_bytes) {
  // Non-blocking, so that a FIFO named by a user can't hang us before fstat tells what it is.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return ErrnoToStatus(errno, "open " + path.string());
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoToStatus(errno, "stat " + path.string());
  if (!S_ISREG(info.st_mode)) return InvalidArgumentError(path.string() + " is not a regular file");
  if (static_cast<uint64_t>(info.st_size) > max_bytes) {
    return InvalidArgumentError(path.string() + " has " + std::to_string(info.st_size) +
                                " bytes, the limit is " + std::to_string(max_bytes));
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoToStatus(errno, "read " + path.string());
    if (got == 0) return DataLossError(path.string() + " shrank while it was read");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

Status SyncFolder(const fs::path& folder) {
  const Descriptor fd(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoToStatus(errno, "open folder " + folder.string());
  if (::fsync(fd.get()) != 0) return ErrnoToStatus(errno, "fsync folder " + folder.string());
  return OkStatus();
}

Status RenameDurably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return ErrnoToStatus(errno, "rename to " + to.string());
  GRAFT_RETURN_IF_ERROR(SyncFolder(to.parent_path()));
  if (from.parent_path() != to.parent_path()) return SyncFolder(from.parent_path());
  return OkStatus();
}

Status WriteFileDurably(const fs::path& path, std::string_view bytes) {
  const fs::path folder = path.parent_path();
  std::error_code error;
  if (!folder.empty() && !fs::exists(folder, error)) {
    fs::create_directories(folder, error);
    if (error) return ErrnoToStatus(error.value(), "create folder " + folder.string());
    // The new folders' own names must be durable too, up to the first that was there before.
    GRAFT_RETURN_IF_ERROR(SyncFolder(folder.parent_path()));
  }
  static std::atomic<uint64_t> counter{0};
  const fs::path temp =
      path.string() + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(++counter);
  Status status = [&]() -> Status {
    const Descriptor fd(::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (fd.get() < 0) return ErrnoToStatus(errno, "create " + temp.string());
    GRAFT_RETURN_IF_ERROR(WriteAll(fd.get(), bytes, temp.string()));
    if (::fsync(fd.get()) != 0) return ErrnoToStatus(errno, "fsync " + temp.string());
    return OkStatus();
  }();
  GRAFT_FAILPOINT("file.before_rename");
  if (status.ok()) status = RenameDurably(temp, path);
  GRAFT_FAILPOINT("file.after_rename");
  if (!status.ok()) ::unlink(temp.c_str());
  return status;
}

bool IsInside(const fs::path& path, const fs::path& root) {
  std::error_code error;
  const fs::path real_root = fs::weakly_canonical(root, error);
  if (error) return false;
  const fs::path real_path = fs::weakly_canonical(path, error);
  if (error) return false;
  const auto [root_end, unused] =
      std::mismatch(real_root.begin(), real_root.end(), real_path.begin(), real_path.end());
  return root_end == real_root.end();
}

StatusOr<TempFolder> TempFolder::Create(std::string_view prefix) {
  std::string pattern = (fs::temp_directory_path() / (std::string(prefix) + ".XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return ErrnoToStatus(errno, "create a folder like " + pattern);
  return TempFolder(fs::path(pattern));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace graft
