#include "common/safetensors/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/sha256.h"

namespace graft::safetensors {
namespace fs = std::filesystem;
namespace {

/// "….LayerNorm.gamma" -> "….LayerNorm.weight", as transformers renames on load.
std::string ModernName(std::string name) {
  for (const auto& [old_name, new_name] : {std::pair<std::string_view, std::string_view>{".gamma", ".weight"},
                                           {".beta", ".bias"}}) {
    if (name.ends_with(old_name)) return name.substr(0, name.size() - old_name.size()) + std::string(new_name);
  }
  return name;
}

bool HasPickle(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth") return true;
  }
  return false;
}

}  // namespace

Status Checkpoint::Add(const fs::path& path) {
  GRAFT_ASSIGN_OR_RETURN(auto map, MappedFile::Open(path));
  for (const TensorView& tensor : map->view().tensors()) {
    if (!tensors_.emplace(ModernName(tensor.name), tensor).second) {
      return InvalidArgumentError(path.string() + ": the tensor " + tensor.name + " stands in two shards");
    }
  }
  paths_.push_back(path);
  maps_.push_back(std::move(map));
  return OkStatus();
}

StatusOr<std::shared_ptr<const Checkpoint>> Checkpoint::Open(const fs::path& folder) {
  auto checkpoint = std::make_shared<Checkpoint>();
  std::error_code error;
  if (fs::exists(folder / "model.safetensors", error)) {
    GRAFT_RETURN_IF_ERROR(checkpoint->Add(folder / "model.safetensors"));
    return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
  }
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(index, error)) {
    if (HasPickle(folder)) {
      return InvalidArgumentError(folder.string() +
                                  " holds pickle weights only (.bin, .pt); graft reads safetensors only. Save the model again "
                                  "with safe_serialization=True");
    }
    return NotFoundError(folder.string() + " has no model.safetensors and no model.safetensors.index.json");
  }
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(index, uint64_t{64} << 20));
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text, index.string()));
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return InvalidArgumentError(index.string() + " has no weight_map");
  }
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    if (!shard.is_string()) return InvalidArgumentError(index.string() + ": the shard of " + tensor + " isn't a name");
    const auto name = shard.get<std::string>();
    if (name.find('/') != std::string::npos || name.find('\\') != std::string::npos ||
        name.find("..") != std::string::npos || !name.ends_with(".safetensors")) {
      return InvalidArgumentError(index.string() + ": \"" + name.substr(0, 80) + "\" is no shard's file name");
    }
    shards.insert(name);
  }
  for (const std::string& shard : shards) GRAFT_RETURN_IF_ERROR(checkpoint->Add(folder / shard));
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    if (checkpoint->Find(ModernName(tensor)) == nullptr) {
      return InvalidArgumentError(index.string() + ": no shard holds the tensor " + tensor);
    }
  }
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

const TensorView* Checkpoint::Find(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  return found != tensors_.end() ? &found->second : nullptr;
}

StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint, const std::string& config, const fs::path& cache) {
  Json key = {{"config", config}};
  for (const fs::path& path : checkpoint.files()) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, "stat " + path.string());
    key["files"].push_back({fs::absolute(path).string(), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino});
  }
  const fs::path entry = cache / (Sha256Hex(key.dump()) + ".fingerprint");
  if (!cache.empty()) {
    const auto cached = ReadFile(entry, 64);
    if (cached.ok() && IsSha256Hex(*cached)) return *cached;
  }
  Sha256 hash;
  for (const std::string& name : checkpoint.names()) {
    const TensorView& tensor = *checkpoint.Find(name);
    hash.Update(Json{name, DTypeName(tensor.dtype), tensor.shape, Sha256Hex(tensor.data)}.dump());
    hash.Update("\n");
  }
  hash.Update(config);
  std::string fingerprint = hash.HexDigest();
  if (!cache.empty()) GRAFT_RETURN_IF_ERROR(WriteFileDurably(entry, fingerprint));
  return fingerprint;
}

}  // namespace graft::safetensors
