#include "server/service/inference_service.h"

#include <utility>

#include "server/core/registry.h"
#include "server/service/convert.h"
#include "server/service/inference_inputs.h"
#include "server/service/version_ref.h"

namespace graft::server::service {
namespace {

namespace pb = graft::internal::v1;

}  // namespace

double InferenceService::Stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

graft::v1::Provenance InferenceService::Target::Provenance(
    const std::string& base_fingerprint) const {
  graft::v1::Provenance provenance;
  if (!is_plain) {
    provenance.set_adapter_version(VersionName(version.adapter, version.number));
    provenance.set_adapter_version_sha256(version.sha256);
  }
  provenance.set_base(version.base);
  provenance.set_base_fingerprint(base_fingerprint);
  return provenance;
}

calls::Awaitable<StatusOr<InferenceService::Target>> InferenceService::Resolve(
    const calls::CallContext& context, std::string adapter, std::string base) {
  if (adapter.empty() == base.empty())
    co_return InvalidArgumentError("name either an adapter or a base").At("adapter");
  Target target;
  if (adapter.empty()) {
    const StatusOr<intake::BasePtr> found = co_await backend_.bases.Find(context, base);
    if (!found.ok()) co_return Status(found.status()).At("base");
    context.span.Set("graft.base", base);
    target.version.base = std::move(base);
    target.is_plain = true;
    co_return target;
  }
  auto resolve = [tenant = context.tenant, name = std::move(adapter)](core::Transaction& tx) {
    return core::ResolveVersion(tx, tenant, name);
  };
  StatusOr<core::Version> resolved = co_await Read(backend_.runtime, backend_.store, resolve);
  if (!resolved.ok()) co_return Status(resolved.status()).At("adapter");
  target.version = std::move(*resolved);
  if (context.span.is_recorded()) {
    context.span.Set("graft.base", target.version.base);
    context.span.Set("graft.version", VersionName(target.version.adapter, target.version.number));
    // What it was made by is seldom in the same trace.
    context.span.AddLink(tracing::ParseTraceparent(target.version.traceparent));
  }
  co_return target;
}

calls::Awaitable<StatusOr<graft::v1::ClassifyResponse>> InferenceService::Classify(
    calls::CallContext& context, const graft::v1::ClassifyRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInputs(request.inputs()));
  const Stopwatch watch(backend_.probe);
  GRAFT_CO_ASSIGN_OR_RETURN(const Target target,
                            co_await Resolve(context, request.adapter(), std::string()));
  pb::EngineClassifyRequest engine_request;
  *engine_request.mutable_version() = RefTo(target.version);
  *engine_request.mutable_inputs() = request.inputs();
  engine_request.set_return_logits(request.return_logits());
  StatusOr<pb::EngineClassifyResponse> reply = co_await backend_.workers.CallOne(
      context, target.version, &background::EngineLink::Classify, engine_request);
  if (!reply.ok()) co_return reply.status();
  graft::v1::ClassifyResponse response;
  *response.mutable_predictions() = std::move(*reply->mutable_predictions());
  *response.mutable_provenance() = target.Provenance(reply->base_fingerprint());
  co_return response;
}

calls::Awaitable<StatusOr<graft::v1::EmbedResponse>> InferenceService::Embed(
    calls::CallContext& context, const graft::v1::EmbedRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInputs(request.inputs()));
  const Stopwatch watch(backend_.probe);
  GRAFT_CO_ASSIGN_OR_RETURN(const Target target,
                            co_await Resolve(context, request.adapter(), request.base()));
  pb::EngineEmbedRequest engine_request;
  *engine_request.mutable_inputs() = request.inputs();
  engine_request.set_normalize(request.normalize());
  target.NameIn(engine_request);
  StatusOr<pb::EngineEmbedResponse> reply = co_await backend_.workers.CallOne(
      context, target.version, &background::EngineLink::Embed, engine_request);
  if (!reply.ok()) co_return reply.status();
  graft::v1::EmbedResponse response;
  *response.mutable_embeddings() = std::move(*reply->mutable_embeddings());
  *response.mutable_provenance() = target.Provenance(reply->base_fingerprint());
  co_return response;
}

}  // namespace graft::server::service
