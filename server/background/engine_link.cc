#include "server/background/engine_link.h"

#include <functional>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "graft/internal/v1/engine.grpc.pb.h"
#include "server/background/async_unary.h"
#include "server/background/incoming_stream.h"

namespace graft::server::background {
namespace {

namespace pb = graft::internal::v1;
using Async = pb::Engine::StubInterface::async_interface;
/// The methods are overloaded: this chooses one.
template <typename Request, typename Reply>
using Unary = void (Async::*)(grpc::ClientContext*, const Request*, Reply*,
                              std::function<void(grpc::Status)>);

/// 256 embeddings of a large model are more than gRPC's default of 4 MiB.
constexpr int kMaxReplyBytes = 64 << 20;

std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplyBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // A worker whose machine vanished says nothing: pings find out.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

struct EngineLink::Stub {
  std::unique_ptr<pb::Engine::Stub> engine;
};

EngineLink::EngineLink(calls::Runtime& runtime, std::string worker_id, const std::string& address)
    : runtime_(runtime),
      worker_id_(std::move(worker_id)),
      stub_(std::make_unique<Stub>(Stub{pb::Engine::NewStub(Dial(address))})) {}
EngineLink::~EngineLink() = default;

tracing::ActiveSpan EngineLink::SpanOf(const calls::CallContext& call) const {
  tracing::ActiveSpan span = call.span.StartChild("ask worker", tracing::SpanKind::kClient);
  if (!span.is_recorded()) return span;
  span.Set("graft.worker", worker_id_);
  span.Set("peer.service", std::string("graft-worker"));
  return span;
}

template <typename Reply, typename Method, typename Request>
EngineLink::Answer<Reply> EngineLink::Ask(Method method, Request request,
                                          const calls::CallContext& call) {
  tracing::ActiveSpan span = SpanOf(call);
  StatusOr<Reply> reply = co_await AsyncUnary<Reply>(
      runtime_, stub_->engine->async(), method, std::move(request), call.deadline, span.context());
  span.EndWith(reply.status());
  co_return reply;
}

EngineLink::Answer<pb::EngineClassifyResponse> EngineLink::Classify(
    pb::EngineClassifyRequest request, const calls::CallContext& call) {
  constexpr Unary<pb::EngineClassifyRequest, pb::EngineClassifyResponse> kMethod = &Async::Classify;
  return Ask<pb::EngineClassifyResponse>(kMethod, std::move(request), call);
}

EngineLink::Answer<pb::EngineEmbedResponse> EngineLink::Embed(pb::EngineEmbedRequest request,
                                                              const calls::CallContext& call) {
  constexpr Unary<pb::EngineEmbedRequest, pb::EngineEmbedResponse> kMethod = &Async::Embed;
  return Ask<pb::EngineEmbedResponse>(kMethod, std::move(request), call);
}

EngineLink::Answer<pb::EngineScoreResponse> EngineLink::Score(pb::EngineScoreRequest request,
                                                              const calls::CallContext& call) {
  constexpr Unary<pb::EngineScoreRequest, pb::EngineScoreResponse> kMethod = &Async::Score;
  return Ask<pb::EngineScoreResponse>(kMethod, std::move(request), call);
}

EngineLink::Answer<pb::LoadVersionResponse> EngineLink::LoadVersion(
    pb::LoadVersionRequest request, const calls::CallContext& call) {
  constexpr Unary<pb::LoadVersionRequest, pb::LoadVersionResponse> kMethod = &Async::LoadVersion;
  return Ask<pb::LoadVersionResponse>(kMethod, std::move(request), call);
}

EngineLink::Answer<pb::EngineEvaluateResponse> EngineLink::EvaluateVersion(
    pb::EngineEvaluateRequest request, const calls::CallContext& call) {
  constexpr Unary<pb::EngineEvaluateRequest, pb::EngineEvaluateResponse> kMethod =
      &Async::EvaluateVersion;
  return Ask<pb::EngineEvaluateResponse>(kMethod, std::move(request), call);
}

std::unique_ptr<ReplyStream<pb::EngineGenerateResponse>> EngineLink::Generate(
    pb::EngineGenerateRequest request, const calls::CallContext& call) {
  constexpr void (Async::*kMethod)(grpc::ClientContext*, const pb::EngineGenerateRequest*,
                                   grpc::ClientReadReactor<pb::EngineGenerateResponse>*) =
      &Async::Generate;
  return std::make_unique<IncomingStream<pb::EngineGenerateResponse>>(
      runtime_, stub_->engine->async(), kMethod, std::move(request), call.deadline, SpanOf(call));
}

}  // namespace graft::server::background
