#pragma once
/// Files, durably: what is written is either whole or absent after a crash.
/// Thread safety: free functions; safe on different paths.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"

namespace graft {

/// Reads a whole regular file.
/// Errors: NotFound; PermissionDenied; InvalidArgument if larger than `max_bytes` or not a regular
/// file; DataLoss if it shrank meanwhile.
StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                               uint64_t max_bytes = uint64_t{8} << 30);

/// Says, if these are the first bytes of something that stands in a file's place, what they are and
/// where the file is: the pointer of Git LFS, a web page. Empty if not. Reads behind "NAME ".
std::string_view StandIn(std::string_view front);

/// Replaces `path` by `bytes`: temp file beside it, fsync, rename, fsync of the folder. Creates
/// missing folders, durably.
/// Errors: ResourceExhausted if the disk is full; PermissionDenied; Internal otherwise. On error
/// `path` is what it was and the temp file is gone; only if the very last step, the fsync of the
/// folder, failed, `path` is new but might be the old one after a crash.
/// Source: the order of LevelDB's SetCurrentFile and PosixWritableFile::SyncDirIfManifest.
Status WriteFileDurably(const std::filesystem::path& path, std::string_view bytes);

/// Renames `from` to `to` and syncs both folders. `from` must already be synced.
Status RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

/// Makes the folder and all that is missing above it, and their names durable.
Status CreateFoldersDurably(const std::filesystem::path& folder);

/// Makes the names in `folder` durable. "" is the current folder.
Status SyncFolder(const std::filesystem::path& folder);

/// Sizes, times of change and inodes of a folder's files and of those in its direct sub-folders,
/// links followed, hidden ones left aside: equal stamps mean that nothing in it has changed. Costs
/// a look at each file, never a read. Empty if the folder isn't there.
std::string FolderStamp(const std::filesystem::path& folder);

/// Turns errno into a Status with a sentence: ENOSPC and EDQUOT -> ResourceExhausted, ENOENT ->
/// NotFound, ...
Status ErrnoToStatus(int error, const std::string& what);

/// True if `path`, with every link resolved (dangling ones too), lies in `root` (also resolved) or
/// is it. What doesn't exist is judged by its longest existing parent. False where that can't be
/// told, and for an empty path or root.
bool IsInside(const std::filesystem::path& path, const std::filesystem::path& root);

/// A folder that is removed with everything in it when this goes away.
class TempFolder {
 public:
  /// Made below $TMPDIR or /tmp, open to its user alone.
  static StatusOr<TempFolder> Create(std::string_view prefix = "graft");
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TempFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TempFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace graft
