#pragma once
/// What a worker tells of a version that it trained and stored, as a row: the result of a job, or a
/// checkpoint that it keeps.

#include <string>

#include "common/base/sha256.h"
#include "common/base/status.h"
#include "proto/report.h"
#include "server/background/backend.h"
#include "server/calls/call.h"
#include "server/core/rows.h"

namespace graft::server::service {

/// Of a CompleteLeaseRequest or a KeepCheckpointRequest, whose files must lie under `prefix`.
/// Errors: InvalidArgument if they don't, or the hash is none.
template <typename Request>
StatusOr<core::Version> TrainedVersion(const Request& request, const std::string& prefix) {
  core::Version version;
  version.sha256 = request.version_sha256();
  version.artifact_prefix = request.artifact_prefix();
  version.base_fingerprint = request.base_fingerprint();
  version.label_names = {request.label_names().begin(), request.label_names().end()};
  version.max_length = request.max_length();
  version.parameters = request.parameters();
  version.bytes = request.artifact_bytes();
  for (const auto& evaluation : request.evaluations())
    version.evaluations.push_back(proto::FromProto(evaluation));
  if (!IsSha256Hex(version.sha256) || version.artifact_prefix != prefix) {
    return InvalidArgumentError("a version needs its hash, and its files under its attempt")
        .At("artifact_prefix");
  }
  return version;
}

/// OK if the version's list of files, which is written last, is stored. Errors: DataLoss if not; of
/// the object store.
calls::Awaitable<Status> CheckStored(background::Backend& backend, std::string prefix);

/// What of a version stands in its job's spec.
struct SpecOfVersion {
  std::string method_json, description;
  bool promote = false;
  int keep_checkpoints = 0;
};
/// A spec that can't be read says nothing.
SpecOfVersion ReadSpecOfVersion(const std::string& spec_json);

}  // namespace graft::server::service
