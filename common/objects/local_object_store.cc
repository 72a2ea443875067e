#include "common/objects/local_object_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>

#include "common/base/file.h"

namespace graft::objects {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTempFolder = ".tmp";

Status Rename(Status status, const std::string& key) {
  if (status.code() == StatusCode::kNotFound) return NotFoundError("there is no object " + key);
  return status;
}

bool IsTemporary(const std::string& name) { return name.find(".tmp.") != std::string::npos; }

class LocalWriter : public ObjectWriter {
 public:
  LocalWriter(fs::path root, fs::path temp, int fd, std::string key)
      : root_(std::move(root)), temp_(std::move(temp)), fd_(fd), key_(std::move(key)) {}
  ~LocalWriter() override {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(temp_.c_str());
  }
  Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoToStatus(errno, "write " + temp_.string());
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return OkStatus();
  }
  Status Commit() override { return CommitAs(key_); }
  Status CommitAs(const std::string& key) override {
    GRAFT_RETURN_IF_ERROR(CheckKey(key));
    if (::fsync(fd_) != 0) return ErrnoToStatus(errno, "fsync " + temp_.string());
    const fs::path path = root_ / key;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return ErrnoToStatus(error.value(), "create folder " + path.parent_path().string());
    GRAFT_RETURN_IF_ERROR(RenameDurably(temp_, path));
    committed_ = true;
    return SyncFolder(path.parent_path().parent_path());
  }

 private:
  const fs::path root_, temp_;
  int fd_;
  const std::string key_;
  bool committed_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<LocalObjectStore>> LocalObjectStore::Open(const fs::path& root) {
  std::error_code error;
  fs::create_directories(root / kTempFolder, error);
  if (error) return ErrnoToStatus(error.value(), "create folder " + root.string());
  // Another server may be writing right now; what is an hour old is nobody's.
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool in_temp = it->path().parent_path() == root / kTempFolder;
    if (it->is_regular_file(ignored) && (in_temp || IsTemporary(it->path().filename().string())) &&
        it->last_write_time(ignored) < old) {
      fs::remove(it->path(), ignored);
    }
  }
  return std::unique_ptr<LocalObjectStore>(new LocalObjectStore(fs::canonical(root)));
}

Status LocalObjectStore::Put(const std::string& key, std::string_view bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  return WriteFileDurably(root_ / key, bytes);
}

StatusOr<std::string> LocalObjectStore::Get(const std::string& key, uint64_t max_bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  StatusOr<std::string> bytes = ReadFile(root_ / key, max_bytes);
  if (!bytes.ok()) return Rename(bytes.status(), key);
  return bytes;
}

StatusOr<std::string> LocalObjectStore::ReadRange(const std::string& key, uint64_t offset, uint64_t length) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const int fd = ::open((root_ / key).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return Rename(ErrnoToStatus(errno, "open " + key), key);
  std::string bytes(std::min<uint64_t>(length, uint64_t{64} << 20), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const Status status = ErrnoToStatus(errno, "read " + key);
      ::close(fd);
      return status;
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  ::close(fd);
  bytes.resize(done);
  return bytes;
}

StatusOr<ObjectStore::Info> LocalObjectStore::Stat(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  std::error_code error;
  const uint64_t bytes = fs::file_size(root_ / key, error);
  if (error || !fs::is_regular_file(root_ / key, error)) return NotFoundError("there is no object " + key);
  return Info{bytes};
}

StatusOr<std::vector<std::string>> LocalObjectStore::List(const std::string& prefix, const std::string& after, size_t limit) {
  // Only the folder part of the prefix is walked; what lies beside it is never read.
  const fs::path folder = root_ / prefix.substr(0, prefix.rfind('/') == std::string::npos ? 0 : prefix.rfind('/'));
  std::vector<std::string> keys;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name == kTempFolder) {
      it.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (!it->is_regular_file(ignored) || IsTemporary(name)) continue;
    std::string key = it->path().lexically_relative(root_).string();
    if (key.starts_with(prefix) && key > after) keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end());
  if (keys.size() > limit) keys.resize(limit);
  return keys;
}

Status LocalObjectStore::Delete(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const fs::path path = root_ / key;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return ErrnoToStatus(errno, "delete " + key);
  // Folders that this emptied go too; rmdir refuses all others.
  for (fs::path folder = path.parent_path(); folder != root_ && ::rmdir(folder.c_str()) == 0; folder = folder.parent_path()) {
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<ObjectWriter>> LocalObjectStore::OpenWriter(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  static std::atomic<uint64_t> counter{0};
  const fs::path temp = root_ / kTempFolder / (std::to_string(::getpid()) + "." + std::to_string(++counter));
  const int fd = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoToStatus(errno, "create " + temp.string());
  return std::unique_ptr<ObjectWriter>(std::make_unique<LocalWriter>(root_, temp, fd, key));
}

}  // namespace graft::objects
