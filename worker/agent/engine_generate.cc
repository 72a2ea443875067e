/// What EngineService does of language models.

#include <utility>

#include "common/base/guard.h"
#include "proto/grpc_status.h"
#include "worker/agent/convert.h"
#include "worker/agent/engine_service.h"

namespace graft::worker::agent {
namespace {

namespace pb = graft::internal::v1;

/// The engine knows prompts only: a fault of what a chat became is the chat's.
Status AtChat(const Status& status) {
  if (status.code() != StatusCode::kInvalidArgument) return status;
  Status result = InvalidArgumentError(status.message());
  for (ErrorDetail detail : status.details()) {
    if (detail.field == "prompt") detail.field = "chat.messages";
    result.AddDetail(std::move(detail));
  }
  return result;
}

}  // namespace

void EngineService::WhenHeld(const pb::VersionRef& version, const std::string& base,
                             std::function<void(Status)> then) {
  if (!version.sha256().empty()) return WhenResident(version, std::move(then));
  if (engine_.HoldsBase(base)) return then(OkStatus());
  base_reads_.Post([this, base, then] { then(engine_.BaseFingerprint(base).status()); }, then);
}

grpc::ServerWriteReactor<pb::EngineGenerateResponse>* EngineService::Generate(
    grpc::CallbackServerContext* /*context*/, const pb::EngineGenerateRequest* request) {
  const std::shared_ptr<GenerateCall> call = GenerateCall::Make(writers_);
  const auto fail = [call](const Status& status) { call->End(proto::ToGrpcStatus(status)); };
  const Status begun = Contained([&] {
    const pb::VersionRef& version = request->version();
    const std::function<void()> answered =
        version.sha256().empty() ? [] {} : TimeSwap(request->version());
    // Chats of one template come one after another: a slow one delays nobody else's.
    const std::string key =
        request->has_chat() ? version.sha256() + "/" + request->base() : std::string();
    WhenHeld(version, request->base(), [=, this](const Status& status) {
      if (!status.ok()) return fail(status);
      const auto begin = [=, this] {
        if (const Status text = BeginText(call, *request, answered); !text.ok()) fail(text);
      };
      prompts_.Post(begin, fail, key);
    });
  });
  if (!begun.ok()) fail(begun);
  return call.get();
}

Status EngineService::BeginText(const std::shared_ptr<GenerateCall>& call,
                                const pb::EngineGenerateRequest& request,
                                std::function<void()> answered) {
  engine::GenerateRequest text;
  text.version = request.version().sha256();
  if (text.version.empty()) text.base = request.base();
  text.settings = FromProto(request.generation());
  text.abandoned = [call] { return call->abandoned(); };
  if (call->abandoned()) return CancelledError("nobody waits for the answer any more");
  const bool is_chat = request.has_chat();
  if (is_chat) {
    GRAFT_ASSIGN_OR_RETURN(const templates::ChatFiles files,
                           engine_.ChatFilesOf(text.base, text.version));
    GRAFT_ASSIGN_OR_RETURN(text.prompt, chats_.Render(files, request.chat()));
    text.special_tokens = false;  // The template wrote them.
  } else {
    text.prompt = request.prompt();
  }
  engine_.Generate(
      std::move(text),
      [call, answered = std::move(answered), first = true](engine::GeneratedPiece piece) mutable {
        if (std::exchange(first, false)) answered();
        call->Push(std::move(piece));
      },
      [this, call, is_chat](const StatusOr<engine::GenerateResult>& result) {
        call->End(Answer(is_chat ? AtChat(result.status()) : result.status()));
      });
  return OkStatus();
}

grpc::ServerUnaryReactor* EngineService::Score(grpc::CallbackServerContext* context,
                                               const pb::EngineScoreRequest* request,
                                               pb::EngineScoreResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto fail = [reactor](const Status& status) {
    reactor->Finish(proto::ToGrpcStatus(status));
  };
  const auto score = [=, this] {
    engine::ScoreRequest texts;
    texts.version = request->version().sha256();
    if (texts.version.empty()) texts.base = request->base();
    for (const auto& input : request->inputs())
      texts.inputs.push_back({input.prompt(), input.text()});
    texts.abandoned = [context] { return context->IsCancelled(); };
    engine_.Score(std::move(texts), [=, this](const StatusOr<engine::ScoreResult>& result) {
      if (result.ok()) {
        for (const engine::TextScore& one : result->scores) *response->add_scores() = ToProto(one);
        response->set_base_fingerprint(result->base_fingerprint);
      }
      reactor->Finish(Answer(result.status()));
    });
  };
  const Status begun = Contained([&] {
    WhenHeld(request->version(), request->base(), [=, this](const Status& status) {
      if (!status.ok()) return fail(status);
      prompts_.Post(score, fail);
    });
  });
  if (!begun.ok()) fail(begun);
  return reactor;
}

}  // namespace graft::worker::agent
