#pragma once
/// A version's files on their way into a folder: none has its name there before all have come.

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_writer.h"
#include "common/base/status.h"

namespace graft::cli {

/// What isn't finished leaves no file and no folder. Thread safety: confined to one thread.
class ExportFolder {
 public:
  explicit ExportFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;
  ~ExportFolder() { Restart(); }

  /// Forgets what came so far.
  void Restart();
  /// Errors: InvalidArgument if the name, which came over the wire, could leave the folder; as
  /// FileWriter.
  Status Add(const std::string& file, std::string_view bytes);
  /// Gives all files their names. Errors: as FileWriter::Finish; some may have theirs then.
  Status Finish();
  size_t num_files() const { return files_.size(); }

 private:
  const std::filesystem::path folder_;
  std::map<std::string, FileWriter> files_;
  std::vector<std::filesystem::path> made_;  ///< Folders, outer ones first.
};

}  // namespace graft::cli
