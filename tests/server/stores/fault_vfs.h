#pragma once
/// A file layer for SQLite that can fill up, fail, and lose power. It keeps in memory what each
/// file holds as of its last sync, and what was written since.

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/random.h"

namespace graft::server::stores {

/// Thread safety: thread-safe.
class FaultVfs {
 public:
  static constexpr const char* kName = "graft-fault";
  /// The one there is; registered with SQLite at the first call.
  static FaultVfs& Get();

  /// Forgets all files and faults.
  void Clear();
  /// After `writes` more writes or syncs, each one fails with this SQLite code.
  void FailAfter(int writes, int code);
  /// Writes that end beyond this many bytes of a file find the disk full.
  void FillUpAt(int64_t bytes);
  /// The disk works again.
  void Heal();
  /// True if a fault was met since the last Heal.
  bool has_struck();

  /// Writes to `folder` what a machine that loses power now could find on its disk: all that was
  /// synced, and of the later writes a random few, the last one perhaps in part.
  void LosePower(const std::filesystem::path& folder, PhiloxSequence& random);

  // What SQLite calls, through fault_vfs.cc.
  std::optional<int> BeforeWrite(int64_t end);
  std::optional<int> BeforeSync();
  void Wrote(const std::string& path, int64_t offset, const void* data, int size);
  void Truncated(const std::string& path, int64_t size);
  void Synced(const std::string& path);
  void Deleted(const std::string& path);

 private:
  struct Change {
    int64_t offset = 0;
    std::string bytes;
    bool is_truncation = false;  ///< To `offset`.
  };
  struct File {
    std::string synced;
    bool was_synced = false;
    std::vector<Change> changes;
  };
  static void Apply(const Change& change, std::string& content);
  std::optional<int> Strike();

  std::mutex mutex_;
  std::map<std::string, File> files_;
  std::optional<int> countdown_;
  int code_ = 0;
  int64_t full_at_ = INT64_MAX;
  bool struck_ = false;
};

}  // namespace graft::server::stores
