#include "common/datasets/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/file.h"

namespace graft::datasets {
namespace {

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : rest_(bytes) {}

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    size = std::min(size, rest_.size());
    std::copy_n(rest_.data(), size, buffer);
    rest_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view rest_;
};

class FileSource : public ByteSource {
 public:
  FileSource(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~FileSource() override { close(fd_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (!status_.ok()) return status_;
    ssize_t count = -1;
    do {
      count = read(fd_, buffer, size);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) return static_cast<size_t>(count);
    status_ = ErrnoToStatus(errno, "reading " + path_);
    return status_;
  }

 private:
  const int fd_;
  const std::string path_;
  Status status_;
};

}  // namespace

std::unique_ptr<ByteSource> FromMemory(std::string_view bytes) {
  return std::make_unique<MemorySource>(bytes);
}

StatusOr<std::unique_ptr<ByteSource>> FromFile(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer. It changes nothing for a regular file.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "opening " + path.string());
  auto source = std::make_unique<FileSource>(fd, path.string());
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoToStatus(errno, "reading " + path.string());
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgumentError(path.string() + " isn't a regular file; name a file of data");
  }
  return std::unique_ptr<ByteSource>(std::move(source));
}

bool IsGzipName(std::string_view name) {
  if (name.size() < 3) return false;
  const std::string_view end = name.substr(name.size() - 3);
  return end[0] == '.' && (end[1] | 0x20) == 'g' && (end[2] | 0x20) == 'z';
}

}  // namespace graft::datasets
