#pragma once
/// A version's files on their way into a folder: none has its name there before all have come.

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_writer.h"
#include "common/base/status.h"

namespace graft::cli {

/// What isn't finished leaves no file and no folder. Thread safety: thread-safe.
class ExportFolder {
 public:
  explicit ExportFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;
  ~ExportFolder() { Restart(); }

  /// Forgets what came so far.
  void Restart();
  /// The same for good: nothing comes behind it. Waits for a Finish under way, which keeps all.
  void GiveUp();
  /// Errors: InvalidArgument if the name, which came over the wire, could leave the folder;
  /// Cancelled behind GiveUp; as FileWriter.
  Status Add(const std::string& file, std::string_view bytes);
  /// Gives all files their names. Errors: Cancelled behind GiveUp; FailedPrecondition if the folder
  /// holds another file that readers of models would read with them, and nothing is written; as
  /// FileWriter::Finish: some may have theirs then.
  Status Finish();
  size_t num_files() const;
  /// True if Add or Finish failed for what happened here, not for what came.
  bool has_failed() const;

 private:
  void Drop();                                             ///< Requires: mutex_.
  Status MakeFolder(const std::filesystem::path& folder);  ///< Requires: mutex_.
  Status CheckNoOther() const;                             ///< Requires: mutex_.
  Status Here(Status status);                              ///< Requires: mutex_.

  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<std::string, FileWriter> files_;  ///< Guarded by mutex_.
  std::vector<std::filesystem::path> made_;  ///< Folders, outer ones first. Guarded by mutex_.
  bool given_up_ = false;                    ///< Guarded by mutex_.
  bool has_failed_ = false;                  ///< Guarded by mutex_.
};

}  // namespace graft::cli
