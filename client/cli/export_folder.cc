#include "client/cli/export_folder.h"

#include <utility>

#include "common/artifacts/file_names.h"
#include "common/base/file.h"
#include "common/base/utf8.h"

namespace graft::cli {
namespace {

/// True for what transformers, PEFT or AdapterHub look for in a model's folder.
bool IsOfAModel(std::string_view name) {
  const bool is_pickle = name.starts_with("pytorch_model") || name.starts_with("adapter_model");
  return artifacts::MayBeRead(name, /*is_version=*/true) || name.ends_with(".safetensors") ||
         name.ends_with(".safetensors.index.json") || (is_pickle && name.ends_with(".bin")) ||
         name == "generation_config.json" || name.ends_with(".jinja");
}

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
    GRAFT_RETURN_IF_ERROR(Here(MakeFolder(path.parent_path())));
    StatusOr<FileWriter> writer = FileWriter::Open(path);
    GRAFT_RETURN_IF_ERROR(Here(writer.status()));
    open = files_.emplace(file, *std::move(writer)).first;
  }
  return Here(open->second.Append(bytes));
}

Status ExportFolder::Here(Status status) {
  if (!status.ok()) has_failed_ = true;
  return status;
}

Status ExportFolder::CheckNoOther() const {
  const std::string more = std::string(artifacts::kMoreTemplatesFolder) + "/";
  for (const std::string& below : {std::string(), more}) {
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder_ / below, error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = below + it->path().filename().string();
      if (files_.contains(name) || !IsOfAModel(name)) continue;
      return FailedPreconditionError(folder_.string() + " holds " + Printable(name, 200) +
                                     ", which isn't of this export and would be read with it; "
                                     "remove it or give another folder");
    }
  }
  return OkStatus();
}

Status ExportFolder::Finish() {
  const std::lock_guard lock(mutex_);
  if (given_up_) return GivenUp();
  GRAFT_RETURN_IF_ERROR(Here(CheckNoOther()));
  for (auto& [name, writer] : files_) GRAFT_RETURN_IF_ERROR(Here(writer.Finish()));
  made_.clear();
  return OkStatus();
}

bool ExportFolder::has_failed() const {
  const std::lock_guard lock(mutex_);
  return has_failed_;
}

size_t ExportFolder::num_files() const {
  const std::lock_guard lock(mutex_);
  return files_.size();
}

}  // namespace graft::cli
