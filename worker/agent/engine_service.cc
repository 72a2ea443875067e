#include "worker/agent/engine_service.h"

#include <chrono>

#include "common/base/guard.h"
#include "common/datasets/dataset.h"
#include "common/objects/keys.h"
#include "proto/grpc_status.h"
#include "proto/grpc_trace.h"
#include "proto/report.h"
#include "worker/agent/convert.h"

namespace graft::worker::agent {
namespace {

namespace pb = graft::internal::v1;

/// Finishes a call; an exception in a handler would otherwise hang or hide it (gRPC swallows them).
template <typename Body>
grpc::ServerUnaryReactor* Start(tracing::ActiveSpan span, Body&& body) {
  auto* reactor = new UnaryCall(std::move(span));
  if (const Status status = Contained([&] { body(reactor); }); !status.ok())
    reactor->Finish(proto::ToGrpcStatus(status));
  return reactor;
}

/// Ends a call whose task threw before it could answer.
std::function<void(const Status&)> Fail(UnaryCall* reactor) {
  return [reactor](const Status& status) { reactor->Finish(proto::ToGrpcStatus(status)); };
}

/// Requires: asked only before the call is finished.
engine::Abandoned Cancelled(grpc::CallbackServerContext* context) {
  return [context] { return context->IsCancelled(); };
}

std::vector<engine::TextInput> Inputs(
    const google::protobuf::RepeatedPtrField<graft::v1::TextInput>& inputs) {
  std::vector<engine::TextInput> result;
  for (const auto& input : inputs) result.push_back({input.text(), input.text_pair()});
  return result;
}

}  // namespace

StatusOr<engine::LoadRequest> EngineService::Fetch(const pb::VersionRef& version, bool prove) {
  GRAFT_ASSIGN_OR_RETURN(engine::Files files, objects_->GetVersion(version.artifact_prefix()));
  return engine::LoadRequest{.version = version.sha256(),
                             .base = version.base(),
                             .base_fingerprint = version.base_fingerprint(),
                             .files = std::move(files),
                             .prove = prove};
}

tracing::ActiveSpan EngineService::SpanOf(const char* name,
                                          const grpc::CallbackServerContext& context) const {
  tracing::ActiveSpan span;
  static_cast<void>(Contained([&] {
    span = tracer_.StartBelow(name, proto::TraceOf(context.client_metadata()),
                              tracing::SpanKind::kServer);
  }));
  return span;
}

void EngineService::Load(const pb::VersionRef& version, bool prove,
                         const tracing::SpanContext& trace, std::function<void(Status)> done) {
  const auto span =
      std::make_shared<tracing::ActiveSpan>(tracer_.StartBelow("load version", trace));
  span->Set("graft.version", version.name());
  const auto then = [span, done = std::move(done)](const Status& status) {
    span->Fail(status);
    span->End();
    done(status);
  };
  const bool reads_base = !engine_.HoldsSomeFormOf(version.base());
  const auto fetch = [=, this] {
    // Another request may have loaded it while this one waited.
    if (!prove && engine_.IsResident(version.sha256())) return then(OkStatus());
    StatusOr<engine::LoadRequest> fetched = Fetch(version, prove);
    if (!fetched.ok()) return then(fetched.status());
    const auto request = std::make_shared<engine::LoadRequest>(*std::move(fetched));
    const auto load = [=, this] { then(engine_.Load(std::move(*request)).status()); };
    // In which precision it needs its base only its files tell.
    if (reads_base || engine_.HoldsBaseFor(*request)) return load();
    base_reads_.Post(load, then);
  };
  (reads_base ? base_reads_ : tasks_).Post(fetch, then);
}

grpc::Status EngineService::Answer(const Status& status) const {
  if (engine::IsDeviceFailure(status)) on_device_failed_();
  return proto::ToGrpcStatus(status);
}

std::function<void()> EngineService::TimeSwap(const pb::VersionRef& version) {
  if (!on_swap_ || engine_.IsResident(version.sha256())) return [] {};
  return [this, begin = std::chrono::steady_clock::now()] {
    on_swap_(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  };
}

void EngineService::WhenResident(const pb::VersionRef& version, const tracing::SpanContext& trace,
                                 std::function<void(Status)> then) {
  if (engine_.IsResident(version.sha256())) return then(OkStatus());
  Load(version, /*prove=*/false, trace, then);
}

grpc::ServerUnaryReactor* EngineService::Classify(grpc::CallbackServerContext* context,
                                                  const pb::EngineClassifyRequest* request,
                                                  pb::EngineClassifyResponse* response) {
  return Start(SpanOf("Engine.Classify", *context), [&](UnaryCall* reactor) {
    const auto answered = TimeSwap(request->version());
    WhenResident(request->version(), reactor->trace(), [=, this](Status status) {
      if (!status.ok()) return reactor->Finish(proto::ToGrpcStatus(status));
      engine_.Classify({request->version().sha256(), Inputs(request->inputs()), Cancelled(context)},
                       [=, this](StatusOr<engine::ClassifyResult> result) {
                         if (result.ok()) {
                           answered();
                           for (const engine::Prediction& prediction : result->predictions) {
                             *response->add_predictions() = ToProto(
                                 prediction, *result->label_names, request->return_logits());
                           }
                           response->set_base_fingerprint(result->base_fingerprint);
                         }
                         reactor->Finish(Answer(result.status()));
                       });
    });
  });
}

grpc::ServerUnaryReactor* EngineService::Embed(grpc::CallbackServerContext* context,
                                               const pb::EngineEmbedRequest* request,
                                               pb::EngineEmbedResponse* response) {
  return Start(SpanOf("Engine.Embed", *context), [&](UnaryCall* reactor) {
    const std::function<void()> answered =
        request->version().sha256().empty() ? [] {} : TimeSwap(request->version());
    const auto run = [=, this](Status status) {
      if (!status.ok()) return reactor->Finish(proto::ToGrpcStatus(status));
      engine_.Embed({request->base(), request->version().sha256(), Inputs(request->inputs()),
                     request->normalize(), Cancelled(context)},
                    [=, this](StatusOr<engine::EmbedResult> result) {
                      if (result.ok()) {
                        answered();
                        for (const engine::Embedding& embedding : result->embeddings) {
                          auto* out = response->add_embeddings();
                          out->mutable_values()->Add(embedding.values.begin(),
                                                     embedding.values.end());
                          out->set_tokens(embedding.tokens);
                          out->set_truncated(embedding.truncated);
                        }
                        response->set_base_fingerprint(result->base_fingerprint);
                      }
                      reactor->Finish(Answer(result.status()));
                    });
    };
    if (!request->version().sha256().empty())
      return WhenResident(request->version(), reactor->trace(), run);
    if (engine_.HoldsBase(request->base())) return run(OkStatus());
    base_reads_.Post([run] { run(OkStatus()); }, Fail(reactor));
  });
}

grpc::ServerUnaryReactor* EngineService::LoadVersion(grpc::CallbackServerContext* context,
                                                     const pb::LoadVersionRequest* request,
                                                     pb::LoadVersionResponse* /*response*/) {
  return Start(SpanOf("Engine.LoadVersion", *context), [&](UnaryCall* reactor) {
    Load(request->version(), request->prove(), reactor->trace(),
         [this, reactor](const Status& status) { reactor->Finish(Answer(status)); });
  });
}

grpc::ServerUnaryReactor* EngineService::UnloadVersion(grpc::CallbackServerContext* context,
                                                       const pb::UnloadVersionRequest* request,
                                                       pb::UnloadVersionResponse* /*response*/) {
  return Start(SpanOf("Engine.UnloadVersion", *context), [&](UnaryCall* reactor) {
    engine_.Unload(request->version().sha256());
    reactor->Finish(grpc::Status::OK);
  });
}

grpc::ServerUnaryReactor* EngineService::EvaluateVersion(grpc::CallbackServerContext* context,
                                                         const pb::EngineEvaluateRequest* request,
                                                         pb::EngineEvaluateResponse* response) {
  return Start(SpanOf("Engine.EvaluateVersion", *context), [&](UnaryCall* reactor) {
    const auto evaluate = [=, this] {
      const auto fail = [reactor](const Status& status) {
        reactor->Finish(proto::ToGrpcStatus(status));
      };
      const pb::VersionRef& version = request->version();
      auto bytes = objects_->Get(objects::DatasetKey(version.tenant(), request->dataset_sha256()),
                                 request->dataset_sha256());
      if (!bytes.ok()) return fail(bytes.status());
      auto dataset = datasets::Parse(*bytes);
      if (!dataset.ok()) return fail(dataset.status());
      if (!engine_.IsResident(version.sha256())) {
        const auto load = Fetch(version, /*prove=*/false);
        if (!load.ok()) return fail(load.status());
        if (const Status loaded = engine_.Load(*load).status(); !loaded.ok()) return fail(loaded);
      }
      if (context->IsCancelled()) return fail(CancelledError("the call was cancelled"));
      engine_.Evaluate(
          {version.sha256(), std::make_shared<const datasets::IngestedDataset>(std::move(*dataset)),
           Cancelled(context)},
          [=, this](StatusOr<engine::Evaluation> result) {
            if (result.ok()) {
              *response->mutable_evaluation() = proto::ToProto(*result);
              for (const auto& label : result->labels) *response->add_labels() = ToProto(label);
              response->set_base_fingerprint(result->base_fingerprint);
            }
            reactor->Finish(Answer(result.status()));
          });
    };
    evaluations_.Post(evaluate, Fail(reactor));
  });
}

}  // namespace graft::worker::agent
