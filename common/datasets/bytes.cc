#include "common/datasets/bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/base/file.h"

namespace graft::datasets {
namespace {

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    const size_t count = std::min(size, bytes_.size());
    if (count > 0) std::memcpy(buffer, bytes_.data(), count);
    bytes_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view bytes_;
};

class FileSource : public ByteSource {
 public:
  FileSource(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  ~FileSource() override { ::close(fd_); }
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    for (;;) {
      const ssize_t count = ::read(fd_, buffer, size);
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) return ErrnoToStatus(errno, "read " + name_);
    }
  }

 private:
  const int fd_;
  const std::string name_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> source, uint64_t max_bytes)
      : source_(std::move(source)), left_(max_bytes), max_bytes_(max_bytes), input_(1 << 16) {}
  ~GzipSource() override {
    if (state_ == State::kInflating) inflateEnd(&stream_);
  }

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (size == 0) return size_t{0};
    if (state_ == State::kStart) GRAFT_RETURN_IF_ERROR(Begin());
    GRAFT_ASSIGN_OR_RETURN(const size_t count,
                           state_ == State::kPlain ? ReadPlain(buffer, size) : Inflate(buffer, size));
    if (count > left_) {
      return InvalidArgumentError("the data is larger than " + std::to_string(max_bytes_) + " bytes when unpacked");
    }
    left_ -= count;
    return count;
  }

 private:
  enum class State { kStart, kPlain, kInflating, kDone };

  Status Refill() {
    GRAFT_ASSIGN_OR_RETURN(const size_t count, source_->Read(input_.data(), input_.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(count);
    return OkStatus();
  }

  Status Begin() {
    // Two bytes tell; a source may hand out one at a time.
    size_t have = 0;
    while (have < 2) {
      GRAFT_ASSIGN_OR_RETURN(const size_t count, source_->Read(input_.data() + have, input_.size() - have));
      if (count == 0) break;
      have += count;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(have);
    const bool gzip = have >= 2 && input_[0] == '\x1f' && input_[1] == '\x8b';
    state_ = gzip ? State::kInflating : State::kPlain;
    if (gzip && inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) return ResourceExhaustedError("zlib has no memory");
    return OkStatus();
  }

  StatusOr<size_t> ReadPlain(char* buffer, size_t size) {
    if (stream_.avail_in == 0) return source_->Read(buffer, size);
    const size_t count = std::min<size_t>(size, stream_.avail_in);
    std::memcpy(buffer, stream_.next_in, count);
    stream_.next_in += count;
    stream_.avail_in -= static_cast<uInt>(count);
    return count;
  }

  StatusOr<size_t> Inflate(char* buffer, size_t size) {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1U << 30));
    const uInt wanted = stream_.avail_out;
    while (state_ == State::kInflating && stream_.avail_out == wanted) {
      if (stream_.avail_in == 0) GRAFT_RETURN_IF_ERROR(Refill());
      if (stream_.avail_in == 0) {
        if (!between_members_) return InvalidArgumentError("the gzip data ends early; the file was cut");
        inflateEnd(&stream_);
        state_ = State::kDone;
        break;
      }
      between_members_ = false;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        between_members_ = true;
        inflateReset(&stream_);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return InvalidArgumentError("the gzip data is corrupt");
      }
    }
    return static_cast<size_t>(wanted - stream_.avail_out);
  }

  std::unique_ptr<ByteSource> source_;
  uint64_t left_;
  const uint64_t max_bytes_;
  std::vector<char> input_;
  z_stream stream_{};
  State state_ = State::kStart;
  bool between_members_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> FromMemory(std::string_view bytes) { return std::make_unique<MemorySource>(bytes); }

StatusOr<std::unique_ptr<ByteSource>> FromFile(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ErrnoToStatus(errno, "open " + path.string());
  std::unique_ptr<ByteSource> source = std::make_unique<FileSource>(fd, path.string());
  struct stat info{};
  if (::fstat(fd, &info) != 0) return ErrnoToStatus(errno, "stat " + path.string());
  if (!S_ISREG(info.st_mode)) return InvalidArgumentError(path.string() + " is not a regular file");
  return source;
}

std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> source, uint64_t max_bytes) {
  return std::make_unique<GzipSource>(std::move(source), max_bytes);
}

}  // namespace graft::datasets
