#include "client/cli/export_folder.h"

#include <utility>

#include "common/artifacts/file_names.h"
#include "common/base/utf8.h"

namespace graft::cli {

void ExportFolder::Restart() {
  files_.clear();
  std::error_code error;  // What isn't empty stays.
  for (; !made_.empty(); made_.pop_back()) std::filesystem::remove(made_.back(), error);
}

Status ExportFolder::Add(const std::string& file, std::string_view bytes) {
  auto open = files_.find(file);
  if (open == files_.end()) {
    if (!artifacts::IsExportedName(file)) {
      return InvalidArgumentError("the server sent a file with the name " + Quoted(file) +
                                  "; nothing was written");
    }
    std::error_code error;
    for (const auto& folder : {folder_, (folder_ / file).parent_path()})
      if (std::filesystem::create_directories(folder, error)) made_.push_back(folder);
    GRAFT_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Open(folder_ / file));
    open = files_.emplace(file, std::move(writer)).first;
  }
  return open->second.Append(bytes);
}

Status ExportFolder::Finish() {
  for (auto& [name, writer] : files_) GRAFT_RETURN_IF_ERROR(writer.Finish());
  made_.clear();
  return OkStatus();
}

}  // namespace graft::cli
