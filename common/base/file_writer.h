#pragma once
/// A file that is written in parts, durably: see WriteFileDurably, which writes one at once.

#include <filesystem>
#include <string_view>
#include <utility>

#include "common/base/status.h"

namespace graft {

/// Writes a temp file beside `path`. Until Finish `path` is what it was; an unfinished one's temp
/// file goes with it. Thread safety: confined to one thread.
class FileWriter {
 public:
  /// Creates missing folders, durably. Errors: as WriteFileDurably.
  static StatusOr<FileWriter> Open(const std::filesystem::path& path);
  FileWriter(FileWriter&& other) noexcept { *this = std::move(other); }
  FileWriter& operator=(FileWriter&& other) noexcept;
  ~FileWriter();

  /// Errors: ResourceExhausted if the disk is full; Internal otherwise. Then Finish isn't called.
  Status Append(std::string_view bytes);
  /// Fsync, rename, fsync of the folder. Once. Errors: as WriteFileDurably.
  Status Finish();

 private:
  FileWriter() = default;
  void Drop();

  std::filesystem::path path_, temp_;  ///< temp_ is empty once it is gone.
  int fd_ = -1;
};

}  // namespace graft
