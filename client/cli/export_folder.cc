#include "client/cli/export_folder.h"

#include <utility>

#include "common/artifacts/file_names.h"
#include "common/base/utf8.h"

namespace graft::cli {

Status ExportFolder::Add(const std::string& file, std::string_view bytes) {
  auto open = files_.find(file);
  if (open == files_.end()) {
    if (!artifacts::IsExportedName(file)) {
      return InvalidArgumentError("the server sent a file with the name " + Quoted(file) +
                                  "; nothing was written");
    }
    GRAFT_ASSIGN_OR_RETURN(FileWriter writer, FileWriter::Open(folder_ / file));
    open = files_.emplace(file, std::move(writer)).first;
  }
  return open->second.Append(bytes);
}

Status ExportFolder::Finish() {
  for (auto& [name, writer] : files_) GRAFT_RETURN_IF_ERROR(writer.Finish());
  return OkStatus();
}

}  // namespace graft::cli
