#pragma once
/// Two ways to run out of space in a test.

#include <sys/mount.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/file.h"

namespace graft {

/// While it lives, no file of this process grows past `bytes`: write fails with EFBIG, which users
/// see as a full disk. Works everywhere.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{bytes, old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    ::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  sighandler_t old_handler_;
  rlimit old_limit_{};
};

/// A real file system of a few pages; write fails with ENOSPC. Needs the right to mount.
class TinyDisk {
 public:
  /// Null where this process may not mount.
  static std::unique_ptr<TinyDisk> Mount(size_t bytes) {
    auto folder = TempFolder::Create("graft-tiny-disk");
    if (!folder.ok()) return nullptr;
    const std::string options = "size=" + std::to_string(bytes);
    if (::mount("tmpfs", folder->path().c_str(), "tmpfs", 0, options.c_str()) != 0) return nullptr;
    return std::unique_ptr<TinyDisk>(new TinyDisk(*std::move(folder)));
  }
  ~TinyDisk() { ::umount2(folder_.path().c_str(), MNT_DETACH); }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  explicit TinyDisk(TempFolder folder) : folder_(std::move(folder)) {}
  TempFolder folder_;
};

}  // namespace graft
