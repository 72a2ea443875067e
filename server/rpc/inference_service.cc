#include "server/rpc/inference_service.h"

#include <utility>

#include <fmt/format.h>

#include "server/core/registry.h"
#include "server/rpc/convert.h"
#include "server/rpc/version_ref.h"

namespace graft::server::rpc {
namespace {

namespace pb = graft::internal::v1;
using Inputs = google::protobuf::RepeatedPtrField<graft::v1::TextInput>;

constexpr int kMaxInputs = 256;

Status CheckInputs(const Inputs& inputs) {
  if (inputs.empty() || inputs.size() > kMaxInputs) {
    return InvalidArgumentError(
               fmt::format("inputs must hold 1 to {} texts, not {}", kMaxInputs, inputs.size()))
        .At("inputs");
  }
  for (int i = 0; i < inputs.size(); ++i) {
    if (inputs[i].text().empty()) {
      return InvalidArgumentError("a text is empty").At(fmt::format("inputs[{}].text", i));
    }
  }
  return OkStatus();
}

graft::v1::Provenance ProvenanceOf(const core::Version& version, const std::string& fingerprint) {
  graft::v1::Provenance provenance;
  provenance.set_adapter_version(VersionName(version.adapter, version.number));
  provenance.set_adapter_version_sha256(version.sha256);
  provenance.set_base(version.base);
  provenance.set_base_fingerprint(fingerprint);
  return provenance;
}

}  // namespace

/// One of the calls that may be in flight; gives its place back, whatever ends it.
class InferenceService::Admission {
 public:
  explicit Admission(InferenceService& service)
      : service_(&service), begin_(std::chrono::steady_clock::now()) {
    ++service_->num_calls_;
  }
  Admission(Admission&& other) noexcept
      : service_(std::exchange(other.service_, nullptr)), begin_(other.begin_) {}
  Admission& operator=(Admission&&) = delete;
  ~Admission() {
    if (service_ == nullptr) return;
    --service_->num_calls_;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
    service_->backend_.probe.InferenceFinished(took.count());
  }

 private:
  InferenceService* service_;
  std::chrono::steady_clock::time_point begin_;
};

StatusOr<InferenceService::Admission> InferenceService::Admit() {
  if (num_calls_ >= backend_.limits.max_inference_calls) {
    backend_.probe.InferenceRejected("queue_full");
    return ResourceExhaustedError(
        fmt::format("{} inference requests are in flight; try again in a moment", num_calls_));
  }
  return Admission(*this);
}

Awaitable<StatusOr<graft::v1::ClassifyResponse>> InferenceService::Classify(
    CallContext& context, const graft::v1::ClassifyRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInputs(request.inputs()));
  GRAFT_CO_ASSIGN_OR_RETURN(const Admission admission, Admit());
  auto resolve = [tenant = context.tenant, name = request.adapter()](core::Transaction& tx) {
    return core::ResolveVersion(tx, tenant, name);
  };
  StatusOr<core::Version> resolved = co_await Read(backend_.runtime, backend_.store, resolve);
  if (!resolved.ok()) co_return Status(resolved.status()).At("adapter");
  const core::Version& version = *resolved;

  pb::EngineClassifyRequest engine_request;
  *engine_request.mutable_version() = RefTo(version);
  *engine_request.mutable_inputs() = request.inputs();
  engine_request.set_return_logits(request.return_logits());
  std::function call = [&](EngineLink& link) {
    return AsyncUnary<pb::EngineClassifyResponse>(backend_.runtime, link.stub().async(), kClassify,
                                                  engine_request, context.deadline);
  };
  StatusOr<pb::EngineClassifyResponse> reply =
      co_await backend_.workers.CallOne<pb::EngineClassifyResponse>(context, version.base,
                                                                    version.sha256, call);
  if (!reply.ok()) co_return reply.status();
  graft::v1::ClassifyResponse response;
  *response.mutable_predictions() = std::move(*reply->mutable_predictions());
  *response.mutable_provenance() = ProvenanceOf(version, reply->base_fingerprint());
  co_return response;
}

Awaitable<StatusOr<graft::v1::EmbedResponse>> InferenceService::Embed(
    CallContext& context, const graft::v1::EmbedRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInputs(request.inputs()));
  if (request.adapter().empty() == request.base().empty()) {
    co_return InvalidArgumentError("name either an adapter or a base").At("adapter");
  }
  GRAFT_CO_ASSIGN_OR_RETURN(const Admission admission, Admit());
  pb::EngineEmbedRequest engine_request;
  *engine_request.mutable_inputs() = request.inputs();
  engine_request.set_normalize(request.normalize());
  core::Version version;
  if (request.adapter().empty()) {
    version.base = request.base();
    engine_request.set_base(request.base());
    const StatusOr<intake::BasePtr> found = co_await backend_.bases.Find(context, request.base());
    if (!found.ok()) co_return Status(found.status()).At("base");
  } else {
    auto resolve = [tenant = context.tenant, name = request.adapter()](core::Transaction& tx) {
      return core::ResolveVersion(tx, tenant, name);
    };
    StatusOr<core::Version> resolved = co_await Read(backend_.runtime, backend_.store, resolve);
    if (!resolved.ok()) co_return Status(resolved.status()).At("adapter");
    version = std::move(*resolved);
    *engine_request.mutable_version() = RefTo(version);
  }

  std::function call = [&](EngineLink& link) {
    return AsyncUnary<pb::EngineEmbedResponse>(backend_.runtime, link.stub().async(), kEmbed,
                                               engine_request, context.deadline);
  };
  StatusOr<pb::EngineEmbedResponse> reply =
      co_await backend_.workers.CallOne<pb::EngineEmbedResponse>(context, version.base,
                                                                 version.sha256, call);
  if (!reply.ok()) co_return reply.status();
  graft::v1::EmbedResponse response;
  *response.mutable_embeddings() = std::move(*reply->mutable_embeddings());
  if (request.adapter().empty()) {
    response.mutable_provenance()->set_base(version.base);
    response.mutable_provenance()->set_base_fingerprint(reply->base_fingerprint());
  } else {
    *response.mutable_provenance() = ProvenanceOf(version, reply->base_fingerprint());
  }
  co_return response;
}

Awaitable<Status> InferenceService::Generate(CallContext&, const graft::v1::GenerateRequest&,
                                             StreamWriter<graft::v1::GenerateResponse>&) {
  co_return UnimplementedError(
      "Generate is not built yet: graft serves classifiers and embeddings so far");
}

Awaitable<StatusOr<graft::v1::ScoreResponse>> InferenceService::Score(
    CallContext&, const graft::v1::ScoreRequest&) {
  co_return UnimplementedError(
      "Score is not built yet: graft serves classifiers and embeddings so far");
}

}  // namespace graft::server::rpc
