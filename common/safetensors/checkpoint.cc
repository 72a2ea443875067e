#include "common/safetensors/checkpoint.h"

#include <algorithm>
#include <map>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/sha256.h"
#include "common/base/utf8.h"

namespace graft::safetensors {
namespace fs = std::filesystem;
namespace {

/// "….LayerNorm.gamma" -> "….LayerNorm.weight", as transformers renames on load.
std::string ModernName(std::string name) {
  if (name.ends_with("LayerNorm.gamma")) return name.substr(0, name.size() - 5) + "weight";
  if (name.ends_with("LayerNorm.beta")) return name.substr(0, name.size() - 4) + "bias";
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

/// The tensors of each shard, by today's names.
using Shards = std::map<std::string, std::vector<std::string>>;

Status NoWeights(const fs::path& folder) {
  std::error_code error;
  if (fs::is_symlink(folder / "model.safetensors", error)) {
    return NotFoundError(folder.string() + "/model.safetensors is a link to " +
                         fs::read_symlink(folder / "model.safetensors", error).string() +
                         ", which isn't there");
  }
  if (HasPickle(folder)) {
    return InvalidArgumentError(folder.string() +
                                " holds pickle weights only (.bin, .pt); graft reads safetensors "
                                "only. Save the model again "
                                "with safe_serialization=True");
  }
  return NotFoundError(folder.string() +
                       " has no model.safetensors and no model.safetensors.index.json");
}

StatusOr<Shards> ReadIndex(const fs::path& index) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(index, uint64_t{64} << 20));
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text, index.string()));
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return InvalidArgumentError(index.string() + " has no weight_map");
  }
  Shards shards;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    if (!shard.is_string())
      return InvalidArgumentError(index.string() + ": the shard of " + Printable(tensor, 200) +
                                  " isn't a name");
    const auto name = shard.get<std::string>();
    if (name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos ||
        !name.ends_with(".safetensors")) {
      return InvalidArgumentError(index.string() + ": " + Quoted(name, 80) +
                                  " is no shard's file name");
    }
    shards[name].push_back(ModernName(tensor));
  }
  if (shards.empty()) return NotFoundError(index.string() + " names no shard");
  return shards;
}

}  // namespace

Status Checkpoint::Add(const fs::path& path) {
  GRAFT_ASSIGN_OR_RETURN(auto file, File::Open(path));
  for (const TensorInfo& tensor : file->tensors()) {
    if (!tensors_.emplace(ModernName(tensor.name), Entry{file.get(), tensor}).second) {
      return InvalidArgumentError(path.string() + ": the tensor " + Printable(tensor.name, 200) +
                                  " stands twice in this checkpoint");
    }
  }
  files_.push_back(std::move(file));
  return OkStatus();
}

Status Checkpoint::AddShard(const fs::path& index, const std::string& shard,
                            const std::vector<std::string>& tensors) {
  const auto misplaced = [&](const std::string& tensor) {
    return InvalidArgumentError(index.string() + ": the tensor " + Printable(tensor, 200) +
                                " isn't in the shard " + shard + ", which the index names for it");
  };
  for (const std::string& tensor : tensors) {
    if (Find(tensor) != nullptr) return misplaced(tensor);
  }
  if (const Status status = Add(index.parent_path() / shard);
      status.code() == StatusCode::kNotFound) {
    return NotFoundError(index.string() + " names the shard " + shard +
                         ", which isn't there; download the model again");
  } else if (!status.ok()) {
    return status;
  }
  for (const std::string& tensor : tensors) {
    if (Find(tensor) == nullptr) return misplaced(tensor);
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<const Checkpoint>> Checkpoint::Open(const fs::path& folder) {
  auto checkpoint = std::make_shared<Checkpoint>();
  std::error_code error;
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(folder / "model.safetensors", error)) {
    GRAFT_RETURN_IF_ERROR(checkpoint->Add(folder / "model.safetensors"));
  } else if (fs::exists(index, error)) {
    GRAFT_ASSIGN_OR_RETURN(const Shards shards, ReadIndex(index));
    for (const auto& [shard, tensors] : shards)
      GRAFT_RETURN_IF_ERROR(checkpoint->AddShard(index, shard, tensors));
  } else {
    return NoWeights(folder);
  }
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

const Checkpoint::Entry& Checkpoint::At(std::string_view name) const {
  return tensors_.at(std::string(name));
}

const TensorInfo* Checkpoint::Find(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  return found != tensors_.end() ? &found->second.info : nullptr;
}

StatusOr<std::string> Checkpoint::Read(std::string_view name) const {
  const Entry& entry = At(name);
  return entry.file->Read(entry.info);
}

StatusOr<std::string> Checkpoint::Hash(std::string_view name) const {
  const Entry& entry = At(name);
  Sha256 hash;
  GRAFT_RETURN_IF_ERROR(
      entry.file->ReadPieces(entry.info, [&](std::string_view piece) { hash.Update(piece); }));
  return hash.HexDigest();
}

Status Checkpoint::CheckUnchanged() const {
  for (const auto& file : files_) GRAFT_RETURN_IF_ERROR(file->CheckUnchanged());
  return OkStatus();
}

void FingerprintBuilder::Add(std::string_view name, const TensorInfo& tensor,
                             const std::string& data_sha256) {
  hash_.Update(Json{std::string(name), DTypeName(tensor.dtype), tensor.shape, data_sha256}.dump());
  hash_.Update("\n");
}

std::string FingerprintBuilder::Finish(const std::string& config) {
  hash_.Update(config);
  return hash_.HexDigest();
}

StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint, const std::string& config,
                                  const fs::path& cache) {
  Json key = {{"config", config}};
  for (const auto& file : checkpoint.files())
    key["files"].push_back({fs::absolute(file->path()).string(), file->stamp()});
  const fs::path entry =
      cache /
      (Sha256Hex(key.dump(-1, ' ', false, Json::error_handler_t::replace)) + ".fingerprint");
  if (!cache.empty()) {
    const auto cached = ReadFile(entry, 64);
    if (cached.ok() && IsSha256Hex(*cached)) return *cached;
  }
  FingerprintBuilder builder;
  for (const std::string& name : checkpoint.names()) {
    GRAFT_ASSIGN_OR_RETURN(const std::string data, checkpoint.Hash(name));
    builder.Add(name, *checkpoint.Find(name), data);
  }
  std::string fingerprint = builder.Finish(config);
  GRAFT_RETURN_IF_ERROR(checkpoint.CheckUnchanged());
  // A cache that can't be written costs the next start a pass over the files, not this one its
  // base.
  if (!cache.empty()) static_cast<void>(WriteFileDurably(entry, fingerprint));
  return fingerprint;
}

}  // namespace graft::safetensors
