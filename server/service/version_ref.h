#pragma once
/// What server code says to a worker's Engine about a version.

#include "graft/internal/v1/engine.pb.h"
#include "server/core/rows.h"
#include "server/service/convert.h"

namespace graft::server::service {

inline graft::internal::v1::VersionRef RefTo(const core::Version& version) {
  graft::internal::v1::VersionRef ref;
  ref.set_tenant(version.tenant);
  ref.set_sha256(version.sha256);
  ref.set_base(version.base);
  ref.set_artifact_prefix(version.artifact_prefix);
  ref.set_base_fingerprint(version.base_fingerprint);
  ref.set_name(VersionName(version.adapter, version.number));
  return ref;
}

}  // namespace graft::server::service
