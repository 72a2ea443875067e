#include "common/base/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

#include "common/base/failpoint.h"
#include "common/base/file.h"

namespace graft {
namespace {

/// ".tmp.<process>.<n>"; a process id comes again after a restart (always, in a container), so the
/// name may be taken by what the one before left.
std::string TempSuffix() {
  static std::atomic<uint64_t> counter{0};
  return ".tmp." + std::to_string(::getpid()) + "." + std::to_string(++counter);
}

}  // namespace

StatusOr<FileWriter> FileWriter::Open(const std::filesystem::path& path) {
  GRAFT_RETURN_IF_ERROR(CreateFoldersDurably(path.parent_path()));
  FileWriter writer;
  writer.path_ = path;
  std::string temp;
  do {
    temp = path.string() + TempSuffix();
    writer.fd_ = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  } while (writer.fd_ < 0 && errno == EEXIST);  // What a killed process left.
  if (writer.fd_ < 0) return ErrnoToStatus(errno, "create " + temp);
  writer.temp_ = std::move(temp);
  return writer;
}

FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temp_, other.temp_);
  std::swap(fd_, other.fd_);
  return *this;
}

FileWriter::~FileWriter() { Drop(); }

void FileWriter::Drop() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  if (!temp_.empty()) ::unlink(temp_.c_str());
  temp_.clear();
}

Status FileWriter::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), size_t{1} << 24));
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoToStatus(errno, "write " + temp_.string());
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return OkStatus();
}

Status FileWriter::Finish() {
  Status status;
  if (::fsync(fd_) != 0) status = ErrnoToStatus(errno, "fsync " + temp_.string());
  ::close(std::exchange(fd_, -1));
  GRAFT_FAILPOINT("file.before_rename");
  if (status.ok()) status = RenameDurably(temp_, path_);
  GRAFT_FAILPOINT("file.after_rename");
  if (status.ok()) temp_.clear();
  Drop();
  return status;
}

}  // namespace graft
