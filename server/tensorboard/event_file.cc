#include "server/tensorboard/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/descriptor.h"
#include "common/base/file.h"
#include "server/tensorboard/record.h"

namespace graft::server::tensorboard {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBytes = 256 << 10;
/// What has no whole record in so many bytes has none there at all.
constexpr size_t kMostRecordBytes = 4 << 20;

/// Closes a descriptor.
Status Fault(const fs::path& path) { return ErrnoToStatus(errno, "writing " + path.string()); }

Status WriteAt(int fd, int64_t offset, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return Fault(path);
    bytes.remove_prefix(static_cast<size_t>(done));
    offset += done;
  }
  return OkStatus();
}

/// Reads up to the last whole record: how far that is, and the number of the last that has one.
Status ReadBack(int fd, EventFile& file) {
  std::string text;
  int64_t begin = 0;  // Of `text` in the file.
  bool is_first = true, at_end = false;
  while (!at_end && text.size() < kMostRecordBytes) {
    const size_t had = text.size();
    text.resize(had + kReadBytes);
    const ssize_t got =
        ::pread(fd, text.data() + had, kReadBytes, begin + static_cast<int64_t>(had));
    if (got < 0 && errno != EINTR) return Fault(file.path);
    text.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    at_end = got == 0;
    size_t offset = 0;
    while (const std::optional<std::string_view> data = NextRecord(text, offset)) {
      if (std::exchange(is_first, false) && !IsVersion(*data)) return OkStatus();
      file.last_number = NumberOf(*data).value_or(file.last_number);
      file.size = begin + static_cast<int64_t>(offset);
    }
    text.erase(0, offset);
    begin += static_cast<int64_t>(offset);
  }
  return OkStatus();
}

}  // namespace

StatusOr<EventFile> OpenEventFile(const fs::path& path, double wall_time) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return ErrnoToStatus(error.value(), "making " + path.parent_path().string());
  const Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) return Fault(path);
  EventFile file{.path = path, .size = 0, .last_number = 0};
  GRAFT_RETURN_IF_ERROR(ReadBack(fd.get(), file));
  if (::ftruncate(fd.get(), file.size) != 0) return Fault(path);
  if (file.size > 0) return file;
  const std::string version = Framed(EncodeVersion(wall_time));
  GRAFT_RETURN_IF_ERROR(WriteAt(fd.get(), 0, version, path));
  file.size = static_cast<int64_t>(version.size());
  return file;
}

Status Append(EventFile& file, std::string_view records, int64_t last_number, bool is_end) {
  const Descriptor fd(::open(file.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) return Fault(file.path);
  struct stat now {};
  if (::fstat(fd.get(), &now) != 0) return Fault(file.path);
  if (now.st_size != file.size)
    return AbortedError(file.path.string() + " was changed by somebody else");
  if (Status written = WriteAt(fd.get(), file.size, records, file.path); !written.ok()) {
    const int cut = ::ftruncate(fd.get(), file.size);
    static_cast<void>(cut);  // What is left of it otherwise, the next opening cuts off.
    return written;
  }
  if (is_end && ::fdatasync(fd.get()) != 0) return Fault(file.path);
  file.size += static_cast<int64_t>(records.size());
  file.last_number = last_number;
  return OkStatus();
}

bool EndsWith(const fs::path& path, const Event& end) {
  const std::string wanted = Framed(Encode(end));
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat now {};
  if (fd.get() < 0 || ::fstat(fd.get(), &now) != 0) return false;
  const auto size = static_cast<int64_t>(wanted.size());
  if (now.st_size < size) return false;
  std::string tail(wanted.size(), '\0');
  return ::pread(fd.get(), tail.data(), tail.size(), now.st_size - size) == size && tail == wanted;
}

Status PrepareFolder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoToStatus(error.value(), "making " + folder.string());
  const fs::path probe = folder / (".graft-" + std::to_string(::getpid()));
  const Descriptor fd(::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) return ErrnoToStatus(errno, "making a file in " + folder.string());
  ::unlink(probe.c_str());
  return OkStatus();
}

}  // namespace graft::server::tensorboard
