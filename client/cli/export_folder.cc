#include "client/cli/export_folder.h"

#include <utility>

#include "common/artifacts/file_names.h"
#include "common/base/file.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

Status GivenUp() { return CancelledError("the export was given up"); }

}  // namespace

void ExportFolder::Restart() {
  const std::lock_guard lock(mutex_);
  Drop();
}

void ExportFolder::GiveUp() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  Drop();
}

void ExportFolder::Drop() {
  files_.clear();
  std::error_code error;  // What isn't empty stays.
  for (; !made_.empty(); made_.pop_back()) std::filesystem::remove(made_.back(), error);
}

Status ExportFolder::MakeFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return OkStatus();
  const std::filesystem::path parent = folder.parent_path();
  GRAFT_RETURN_IF_ERROR(MakeFolder(parent));
  // Another process may make it at the same moment; what can't be made is told by who opens in it.
  if (!std::filesystem::create_directory(folder, error)) return OkStatus();
  made_.push_back(folder);
  return SyncFolder(parent);
}

Status ExportFolder::Add(const std::string& file, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return GivenUp();
  auto open = files_.find(file);
  if (open == files_.end()) {
    if (!artifacts::IsExportedName(file)) {
      return InvalidArgumentError("the server sent a file with the name " + Quoted(file) +
                                  "; nothing was written");
    }
    const std::filesystem::path path = folder_ / file;
    GRAFT_RETURN_IF_ERROR(MakeFolder(path.parent_path()));
    GRAFT_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Open(path));
    open = files_.emplace(file, std::move(writer)).first;
  }
  return open->second.Append(bytes);
}

Status ExportFolder::Finish() {
  const std::lock_guard lock(mutex_);
  if (given_up_) return GivenUp();
  for (auto& [name, writer] : files_) GRAFT_RETURN_IF_ERROR(writer.Finish());
  made_.clear();
  return OkStatus();
}

size_t ExportFolder::num_files() const {
  const std::lock_guard lock(mutex_);
  return files_.size();
}

}  // namespace graft::cli
