#include "common/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include "common/base/descriptor.h"
#include "common/base/file_writer.h"
#include "common/base/utf8.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

/// The absolute path without links, "." and ".."; unlike weakly_canonical it follows dangling links
/// as open(O_CREAT) would. Nothing if it can't be told.
std::optional<fs::path> Resolve(const fs::path& path) {
  if (path.empty()) return {};
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return {};
  std::vector<fs::path> todo(absolute.begin(), absolute.end());  // Next component last.
  std::reverse(todo.begin(), todo.end());
  fs::path resolved = "/";
  for (int num_links = 0; !todo.empty();) {
    const fs::path name = std::move(todo.back());
    todo.pop_back();
    if (name.empty() || name == "." || name == "/") continue;
    if (name == "..") {
      resolved = resolved.parent_path();
      continue;
    }
    const fs::file_status status = fs::symlink_status(resolved / name, error);
    if (status.type() == fs::file_type::none) return {};
    if (status.type() != fs::file_type::symlink) {
      resolved /= name;
      continue;
    }
    const fs::path target = fs::read_symlink(resolved / name, error);
    if (error || ++num_links > 40) return {};
    if (target.is_absolute()) resolved = "/";
    std::vector<fs::path> names(target.begin(), target.end());
    todo.insert(todo.end(), names.rbegin(), names.rend());
  }
  return resolved;
}

}  // namespace

namespace {

/// Bounds a look at a folder that is no base at all.
constexpr size_t kMaxStampedFiles = 10'000;

void StampFiles(const std::filesystem::path& folder, const std::string& prefix, int depth,
                std::vector<std::string>& parts) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    struct stat info {};
    if (name.starts_with('.') || ::stat(it->path().c_str(), &info) != 0) continue;
    if (parts.size() >= kMaxStampedFiles) return;
    if (S_ISDIR(info.st_mode)) {
      if (depth > 0) StampFiles(it->path(), prefix + name + "/", depth - 1, parts);
      continue;
    }
    if (!S_ISREG(info.st_mode)) continue;
    const auto time = [](const timespec& t) {
      return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec);
    };
    parts.push_back(prefix + name + ":" + std::to_string(info.st_size) + ":" + time(info.st_mtim) +
                    ":" + time(info.st_ctim) + ":" + std::to_string(info.st_ino));
  }
}

}  // namespace

std::string FolderStamp(const std::filesystem::path& folder) {
  std::vector<std::string> parts;
  StampFiles(folder, "", 1, parts);
  std::sort(parts.begin(), parts.end());
  std::string stamp;
  for (const std::string& part : parts) stamp += part + "/";
  return stamp;
}

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
    case EFBIG:  // RLIMIT_FSIZE, or the file system's own limit.
      return ResourceExhaustedError(text + "; free some space and try again");
    case ENAMETOOLONG:
    case EISDIR:
      return InvalidArgumentError(text);
    case EEXIST:
      return AlreadyExistsError(text);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ResourceExhaustedError(text);
    default:
      return InternalError(text);
  }
}

std::string_view StandIn(std::string_view front) {
  if (front.starts_with("version https://git-lfs"))
    return "is a Git LFS pointer, not the file itself; run git lfs pull in its folder";
  const size_t text = front.find_first_not_of(" \t\r\n");
  if (text == std::string_view::npos) return {};
  const std::string start = AsciiLower(front.substr(text, 64));
  if (start.starts_with("<!doctype html") || start.starts_with("<html"))
    return "is a web page, not the file itself; download the file (the link is often called raw)";
  return {};
}

StatusOr<std::string> ReadFile(const fs::path& path, uint64_t max_bytes) {
  // Non-blocking, so that a FIFO named by a user can't hang us before fstat tells what it is.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0 && errno == ENXIO) {
    return InvalidArgumentError(path.string() + " is not a regular file");
  }
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

Status CreateFoldersDurably(const fs::path& folder) {
  if (folder.empty()) return OkStatus();
  struct stat info {};
  if (::stat(folder.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? OkStatus()
                                 : FailedPreconditionError(folder.string() + " is not a folder");
  }
  if (errno != ENOENT) return ErrnoToStatus(errno, "look at " + folder.string());
  const fs::path parent = folder.parent_path();
  if (parent != folder) GRAFT_RETURN_IF_ERROR(CreateFoldersDurably(parent));
  // Another process may make it at the same moment, and a trailing slash names it twice.
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoToStatus(errno, "create folder " + folder.string());
  }
  return SyncFolder(parent);
}

Status WriteFileDurably(const fs::path& path, std::string_view bytes) {
  GRAFT_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Open(path));
  GRAFT_RETURN_IF_ERROR(writer.Append(bytes));
  return writer.Finish();
}

bool IsInside(const fs::path& path, const fs::path& root) {
  const std::optional<fs::path> real_root = Resolve(root);
  const std::optional<fs::path> real_path = Resolve(path);
  if (!real_root || !real_path) return false;
  return std::mismatch(real_root->begin(), real_root->end(), real_path->begin(), real_path->end())
             .first == real_root->end();
}

StatusOr<TempFolder> TempFolder::Create(std::string_view prefix) {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return ErrnoToStatus(error.value(), "find the folder for temporary files ($TMPDIR)");
  std::string pattern = (parent / (std::string(prefix) + ".XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return ErrnoToStatus(errno, "create a folder like " + pattern);
  return TempFolder(fs::path(pattern));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace graft
