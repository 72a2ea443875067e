#pragma once
/// What server code says to a worker's Engine about a version, and the Engine's methods by name
/// (they are overloaded).

#include <functional>

#include "graft/internal/v1/engine.grpc.pb.h"
#include "server/core/rows.h"
#include "server/rpc/convert.h"

namespace graft::server::rpc {

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

using EngineAsync = graft::internal::v1::Engine::StubInterface::async_interface;
template <typename Request, typename Reply>
using EngineMethod = void (EngineAsync::*)(grpc::ClientContext*, const Request*, Reply*,
                                           std::function<void(grpc::Status)>);

inline constexpr EngineMethod<graft::internal::v1::EngineClassifyRequest,
                              graft::internal::v1::EngineClassifyResponse>
    kClassify = &EngineAsync::Classify;
inline constexpr EngineMethod<graft::internal::v1::EngineEmbedRequest,
                              graft::internal::v1::EngineEmbedResponse>
    kEmbed = &EngineAsync::Embed;
inline constexpr EngineMethod<graft::internal::v1::EngineScoreRequest,
                              graft::internal::v1::EngineScoreResponse>
    kScore = &EngineAsync::Score;
inline constexpr void (EngineAsync::*kGenerate)(
    grpc::ClientContext*, const graft::internal::v1::EngineGenerateRequest*,
    grpc::ClientReadReactor<graft::internal::v1::EngineGenerateResponse>*) = &EngineAsync::Generate;
inline constexpr EngineMethod<graft::internal::v1::LoadVersionRequest,
                              graft::internal::v1::LoadVersionResponse>
    kLoadVersion = &EngineAsync::LoadVersion;
inline constexpr EngineMethod<graft::internal::v1::EngineEvaluateRequest,
                              graft::internal::v1::EngineEvaluateResponse>
    kEvaluateVersion = &EngineAsync::EvaluateVersion;

}  // namespace graft::server::rpc
