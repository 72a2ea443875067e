#include "worker/agent/objects.h"

#include "common/artifacts/artifact.h"
#include "common/base/json.h"
#include "common/base/sha256.h"
#include "worker/agent/server_link.h"

namespace graft::worker::agent {

StatusOr<std::string> Objects::Get(const std::string& key, const std::string& sha256,
                                   const std::function<bool()>& go_on) {
  GRAFT_ASSIGN_OR_RETURN(std::string bytes, server_->GetObject(key, go_on));
  if (!sha256.empty() && Sha256Hex(bytes) != sha256) {
    return DataLossError("the stored object " + key + " doesn't have the hash that its row names");
  }
  return bytes;
}

Status Objects::Put(const std::string& key, const std::string& bytes) {
  return server_->PutObject(key, Sha256Hex(bytes), bytes);
}

StatusOr<engine::Files> Objects::GetVersion(const std::string& prefix,
                                            const std::function<bool()>& go_on) {
  const std::string manifest(artifacts::kManifestName);
  engine::Files files;
  GRAFT_ASSIGN_OR_RETURN(files[manifest], Get(prefix + manifest, {}, go_on));
  GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(files[manifest], manifest));
  const Json listed = json.is_object() ? json.value("files", Json()) : Json();
  if (!listed.is_object()) return DataLossError("the stored version's graft.json lists no files");
  for (const auto& [name, hash] : listed.items()) {
    if (name.find('/') != std::string::npos || !hash.is_string())
      return DataLossError("the stored version's graft.json is malformed");
    GRAFT_ASSIGN_OR_RETURN(files[name], Get(prefix + name, hash.get<std::string>(), go_on));
  }
  return files;
}

Status Objects::PutVersion(const std::string& prefix, const engine::Files& files,
                           const std::function<bool()>& go_on) {
  const std::string manifest(artifacts::kManifestName);
  const auto put = [&](const std::string& name, const std::string& bytes) {
    return go_on() ? Put(prefix + name, bytes) : AbortedError("the version isn't wanted any more");
  };
  // graft.json last: a version is there once its list of files is.
  for (const auto& [name, bytes] : files) {
    if (name != manifest) GRAFT_RETURN_IF_ERROR(put(name, bytes));
  }
  return put(manifest, files.at(manifest));
}

}  // namespace graft::worker::agent
