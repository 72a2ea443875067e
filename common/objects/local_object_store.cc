#include "common/objects/local_object_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <utility>

#include "common/base/failpoint.h"
#include "common/base/file.h"

namespace graft::objects {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTempFolder = ".tmp";
/// Of a write whose folder a Delete takes away again and again.
constexpr int kMaxTries = 1000;

Status NoObject(const std::string& key) { return NotFoundError("there is no object " + key); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct OpenObject {
  Descriptor fd;
  uint64_t bytes;
  TimeUs written;
};

/// Opens an object for reading; whatever happens to its name, these bytes stay. A folder, a link
/// and anything else are no objects.
StatusOr<OpenObject> OpenToRead(const fs::path& path, const std::string& key) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO)
      return NoObject(key);
    return ErrnoToStatus(errno, "open the object " + key);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoToStatus(errno, "look at the object " + key);
  if (!S_ISREG(info.st_mode)) return NoObject(key);
  const TimeUs written =
      TimeUs{info.st_mtim.tv_sec} * 1'000'000 + TimeUs{info.st_mtim.tv_nsec} / 1000;
  return OpenObject{std::move(fd), static_cast<uint64_t>(info.st_size), written};
}

StatusOr<std::string> ReadAt(const OpenObject& object, uint64_t offset, uint64_t length,
                             const std::string& key) {
  offset = std::min(offset, object.bytes);
  std::string bytes(std::min(length, object.bytes - offset), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(object.fd.get(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoToStatus(errno, "read the object " + key);
    if (got == 0) return DataLossError("the object " + key + " was cut while it was read");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

/// FailedPrecondition if `key` is the folder of other objects, or one of its folders is an object.
Status CheckPlace(const fs::path& root, const std::string& key) {
  for (size_t end = key.find('/'); end != std::string::npos; end = key.find('/', end + 1)) {
    struct stat info {};
    if (::lstat((root / key.substr(0, end)).c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
      return IsAnothersFolder(key.substr(0, end));
    }
  }
  const fs::path path = root / key;
  struct stat info {};
  // An empty folder is what a killed Put or Delete left.
  if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && ::rmdir(path.c_str()) != 0) {
    return IsAnothersFolder(key);
  }
  return OkStatus();
}

class LocalWriter : public ObjectWriter {
 public:
  LocalWriter(fs::path root, fs::path temp, int fd, std::string key)
      : root_(std::move(root)), temp_(std::move(temp)), fd_(fd), key_(std::move(key)) {}
  ~LocalWriter() override {
    if (!committed_) ::unlink(temp_.c_str());
  }
  Status Write(std::string_view bytes) override {
    while (failed_.ok() && !bytes.empty()) {
      const ssize_t written =
          ::write(fd_.get(), bytes.data(), std::min(bytes.size(), size_t{1} << 24));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        failed_ = ErrnoToStatus(errno, "write " + temp_.string());
      } else {
        bytes.remove_prefix(static_cast<size_t>(written));
      }
    }
    return failed_;
  }
  Status Commit() override { return CommitAs(key_); }
  Status CommitAs(const std::string& key) override {
    GRAFT_RETURN_IF_ERROR(failed_);
    GRAFT_RETURN_IF_ERROR(CheckKey(key));
    if (::fsync(fd_.get()) != 0) return failed_ = ErrnoToStatus(errno, "fsync " + temp_.string());
    const fs::path path = root_ / key;
    for (int tries = 0; !committed_; ++tries) {
      GRAFT_RETURN_IF_ERROR(CheckPlace(root_, key));
      Status status = CreateFoldersDurably(path.parent_path());
      GRAFT_FAILPOINT("file.before_rename");
      if (status.ok() && ::rename(temp_.c_str(), path.c_str()) != 0) {
        status = ErrnoToStatus(errno, "rename to " + path.string());
      }
      committed_ = status.ok();
      // A Delete may have taken the folder, since it was empty.
      if (!committed_ && (status.code() != StatusCode::kNotFound || tries >= kMaxTries))
        return status;
    }
    const Status synced = SyncFolder(path.parent_path());
    GRAFT_FAILPOINT("file.after_rename");
    return synced.code() == StatusCode::kNotFound ? OkStatus() : synced;  // Deleted since.
  }

 private:
  const fs::path root_, temp_;
  const Descriptor fd_;
  const std::string key_;
  Status failed_;
  bool committed_ = false;
};

/// What a List looks for, and what it found.
struct Listing {
  const std::string& prefix;
  const std::string& after;
  std::vector<std::string> keys;

  /// False if no key below this folder can be one.
  bool MayHold(const std::string& folder) const {
    if (folder.empty()) return true;
    const std::string below = folder + "/";
    const bool fits = below.starts_with(prefix) || prefix.starts_with(below);
    return fits && (below >= after || after.starts_with(below));
  }

  /// Folders that vanish meanwhile are empty.
  Status Walk(const fs::path& path, const std::string& folder) {
    std::error_code error;
    fs::directory_iterator it(path, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      std::string key = (folder.empty() ? "" : folder + "/") + it->path().filename().string();
      std::error_code vanished;
      const fs::file_type type = it->symlink_status(vanished).type();
      if (!CheckKey(key).ok()) continue;
      if (type == fs::file_type::directory && MayHold(key)) {
        GRAFT_RETURN_IF_ERROR(Walk(it->path(), key));
      } else if (type == fs::file_type::regular && key.starts_with(prefix) && key > after) {
        keys.push_back(std::move(key));
      }
    }
    if (!error || error == std::errc::no_such_file_or_directory ||
        error == std::errc::not_a_directory) {
      return OkStatus();
    }
    return ErrnoToStatus(error.value(), "list " + path.string());
  }
};

bool IsTemporary(const std::string& name) { return name.find(".tmp.") != std::string::npos; }

}  // namespace

StatusOr<std::unique_ptr<LocalObjectStore>> LocalObjectStore::Open(const fs::path& root) {
  std::error_code error;
  fs::create_directories(root / kTempFolder, error);
  if (error) return ErrnoToStatus(error.value(), "create folder " + root.string());
  // Another server may be writing right now; what is an hour old is nobody's.
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    const bool in_temp = it->path().parent_path() == root / kTempFolder;
    if (!it->is_regular_file(ignored)) continue;
    if (!in_temp && !IsTemporary(it->path().filename().string())) continue;
    const auto written = it->last_write_time(ignored);
    if (!ignored && written < old) fs::remove(it->path(), ignored);
  }
  const fs::path real = fs::canonical(root, error);
  if (error) return ErrnoToStatus(error.value(), "find " + root.string());
  return std::unique_ptr<LocalObjectStore>(new LocalObjectStore(real));
}

Status LocalObjectStore::Put(const std::string& key, std::string_view bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  for (int tries = 0;; ++tries) {
    GRAFT_RETURN_IF_ERROR(CheckPlace(root_, key));
    const Status status = WriteFileDurably(root_ / key, bytes);
    // A Delete may have taken the folder before the file was in it.
    if (status.code() != StatusCode::kNotFound || tries >= kMaxTries) return status;
  }
}

StatusOr<std::string> LocalObjectStore::Get(const std::string& key, uint64_t max_bytes) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  GRAFT_ASSIGN_OR_RETURN(const OpenObject object, OpenToRead(root_ / key, key));
  if (object.bytes > max_bytes) return TooLarge(key, object.bytes, max_bytes);
  return ReadAt(object, 0, object.bytes, key);
}

StatusOr<std::string> LocalObjectStore::ReadRange(const std::string& key, uint64_t offset,
                                                  uint64_t length) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  GRAFT_ASSIGN_OR_RETURN(const OpenObject object, OpenToRead(root_ / key, key));
  return ReadAt(object, offset, length, key);
}

StatusOr<ObjectStore::Info> LocalObjectStore::Stat(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  GRAFT_ASSIGN_OR_RETURN(const OpenObject object, OpenToRead(root_ / key, key));
  return Info{object.bytes, object.written};
}

StatusOr<std::vector<std::string>> LocalObjectStore::List(const std::string& prefix,
                                                          const std::string& after, size_t limit) {
  // Only the folder part of the prefix is walked; what lies beside it is never read.
  const size_t slash = prefix.rfind('/');
  const std::string folder = prefix.substr(0, slash == std::string::npos ? 0 : slash);
  if (!folder.empty() && !CheckKey(folder).ok()) return std::vector<std::string>();
  Listing listing{prefix, after, {}};
  if (listing.MayHold(folder)) GRAFT_RETURN_IF_ERROR(listing.Walk(root_ / folder, folder));
  std::vector<std::string>& keys = listing.keys;
  std::sort(keys.begin(), keys.end());
  if (keys.size() > limit) keys.resize(limit);
  return std::move(keys);
}

Status LocalObjectStore::Delete(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  const fs::path path = root_ / key;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR) {
    return ErrnoToStatus(errno, "delete the object " + key);
  }
  // Folders that this emptied go too; rmdir refuses all others.
  for (fs::path folder = path.parent_path(); folder != root_ && ::rmdir(folder.c_str()) == 0;) {
    folder = folder.parent_path();
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<ObjectWriter>> LocalObjectStore::OpenWriter(const std::string& key) {
  GRAFT_RETURN_IF_ERROR(CheckKey(key));
  static std::atomic<uint64_t> counter{0};
  fs::path temp;
  int fd = -1;
  do {
    temp = root_ / kTempFolder / (std::to_string(::getpid()) + "." + std::to_string(++counter));
    fd = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    // Process ids come again, and containers that share the folder have the same ones.
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) return ErrnoToStatus(errno, "create " + temp.string());
  return std::unique_ptr<ObjectWriter>(std::make_unique<LocalWriter>(root_, temp, fd, key));
}

}  // namespace graft::objects
