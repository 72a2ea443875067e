#include "server/service/trained_version.h"

#include <utility>

#include "common/artifacts/artifact.h"
#include "common/base/json.h"

namespace graft::server::service {

calls::Awaitable<Status> CheckStored(background::Backend& backend, std::string prefix) {
  auto stored = [&store = backend.objects,
                 manifest = std::move(prefix) + std::string(artifacts::kManifestName)] {
    return store.Stat(manifest).status();
  };
  Status found = co_await OnDisk(backend.runtime, std::move(stored));
  if (found.code() == StatusCode::kNotFound)
    co_return DataLossError("the version's graft.json is not stored");
  co_return found;
}

SpecOfVersion ReadSpecOfVersion(const std::string& spec_json) {
  SpecOfVersion of_version;
  const StatusOr<Json> read = ParseJson(spec_json, "the job's spec");
  if (!read.ok() || !read->is_object()) return of_version;
  const Json& spec = *read;
  if (spec.contains("method")) of_version.method_json = spec["method"].dump();
  if (const auto found = spec.find("description"); found != spec.end() && found->is_string())
    of_version.description = found->get<std::string>();
  if (const auto found = spec.find("promote"); found != spec.end() && found->is_boolean())
    of_version.promote = found->get<bool>();
  const auto hyperparameters = spec.find("hyperparameters");
  if (hyperparameters == spec.end() || !hyperparameters->is_object()) return of_version;
  const auto keep = hyperparameters->find("keep_checkpoints");
  if (keep != hyperparameters->end() && keep->is_number_integer())
    of_version.keep_checkpoints = keep->get<int>();
  return of_version;
}

}  // namespace graft::server::service
