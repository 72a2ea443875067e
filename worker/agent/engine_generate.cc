/// What EngineService does of language models.

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/guard.h"
#include "common/base/rename_fields.h"
#include "proto/grpc_status.h"
#include "worker/agent/convert.h"
#include "worker/agent/engine_service.h"

namespace graft::worker::agent {
namespace {

namespace pb = graft::internal::v1;

bool IsNotResident(const Status& status) {
  return !status.details().empty() && status.details().front().reason == "VERSION_NOT_RESIDENT";
}

/// The engine knows prompts only: a fault of what a chat became is the chat's.
std::string AtChat(const std::string& field) { return field == "prompt" ? "chat.messages" : field; }

}  // namespace

void EngineService::WhenHeld(const pb::VersionRef& version, const std::string& base,
                             const tracing::SpanContext& trace, std::function<void(Status)> then) {
  if (!version.sha256().empty()) return WhenResident(version, trace, std::move(then));
  if (engine_.HoldsBase(base)) return then(OkStatus());
  base_reads_.Post([this, base, then] { then(engine_.BaseFingerprint(base).status()); }, then);
}

grpc::ServerWriteReactor<pb::EngineGenerateResponse>* EngineService::Generate(
    grpc::CallbackServerContext* context, const pb::EngineGenerateRequest* request) {
  Text text{.call = GenerateCall::Make(writers_, GenerateCall::kMostWaiting,
                                       SpanOf("Engine.Generate", *context)),
            .request = request};
  const Status begun = Contained([&] {
    if (!request->version().sha256().empty()) text.answered = TimeSwap(request->version());
    Begin(text);
  });
  if (!begun.ok()) text.call->End(proto::ToGrpcStatus(begun));
  return text.call.get();
}

void EngineService::Begin(const Text& text) {
  const pb::EngineGenerateRequest& request = *text.request;
  const auto fail = [call = text.call](const Status& status) {
    call->End(proto::ToGrpcStatus(status));
  };
  // Chats of one template come one after another: a slow one delays nobody else's.
  const std::string key =
      request.has_chat() ? request.version().sha256() + "/" + request.base() : std::string();
  WhenHeld(request.version(), request.base(), text.call->trace(), [=, this](const Status& status) {
    if (!status.ok()) return fail(status);
    prompts_.Post([=, this] { Write(text, Prompt(text)); }, fail, key);
  });
}

StatusOr<EngineService::Prompted> EngineService::Prompt(const Text& text) {
  const pb::EngineGenerateRequest& asked = *text.request;
  if (text.call->abandoned()) return CancelledError("nobody waits for the answer any more");
  Prompted prompted;
  engine::GenerateRequest& request = prompted.request;
  request.version = asked.version().sha256();
  if (request.version.empty()) request.base = asked.base();
  request.settings = FromProto(asked.generation());
  request.abandoned = [call = text.call] { return call->abandoned(); };
  if (!asked.has_chat()) {
    request.prompt = asked.prompt();
    request.tokens = {asked.tokens().ids().begin(), asked.tokens().ids().end()};
    return prompted;
  }
  GRAFT_ASSIGN_OR_RETURN(const engine::ChatForm form,
                         engine_.ChatFormOf(request.base, request.version));
  GRAFT_ASSIGN_OR_RETURN(RenderedChat chat,
                         chats_.Render(form.files, asked.chat(), form.variables));
  request.prompt = std::move(chat.text);
  prompted.unread = std::move(chat.unread);
  request.is_chat = true;
  return prompted;
}

void EngineService::Write(const Text& text, StatusOr<Prompted> prompted) {
  const auto end = [this, text](const Status& status) {
    // It left memory while its chat was rendered.
    if (IsNotResident(status) && text.loads > 1) {
      Text again = text;
      --again.loads;
      return Begin(again);
    }
    text.call->End(Answer(text.request->has_chat() ? RenameFields(status, AtChat) : status));
  };
  if (!prompted.ok()) return end(prompted.status());
  // Until the first token: waiting for a place, and reading the prompt.
  const auto waiting =
      std::make_shared<tracing::ActiveSpan>(tracer_.StartBelow("first token", text.call->trace()));
  engine_.Generate(
      std::move(prompted->request),
      [text, waiting, first = true,
       unread = std::move(prompted->unread)](engine::GeneratedPiece piece) mutable {
        if (std::exchange(first, false)) {
          waiting->End();
          if (text.answered) text.answered();
          std::ranges::move(unread, std::back_inserter(piece.without_effect));
        }
        text.call->Push(std::move(piece));
      },
      [end](const StatusOr<engine::GenerateResult>& result) { end(result.status()); });
}

grpc::ServerUnaryReactor* EngineService::Score(grpc::CallbackServerContext* context,
                                               const pb::EngineScoreRequest* request,
                                               pb::EngineScoreResponse* response) {
  const Scoring scoring{context, request, response,
                        new UnaryCall(SpanOf("Engine.Score", *context))};
  const Status begun = Contained([&] { Begin(scoring); });
  if (!begun.ok()) scoring.reactor->Finish(proto::ToGrpcStatus(begun));
  return scoring.reactor;
}

void EngineService::Begin(const Scoring& scoring) {
  const auto fail = [reactor = scoring.reactor](const Status& status) {
    reactor->Finish(proto::ToGrpcStatus(status));
  };
  WhenHeld(scoring.request->version(), scoring.request->base(), scoring.reactor->trace(),
           [=, this](const Status& status) {
             if (!status.ok()) return fail(status);
             prompts_.Post([=, this] { Read(scoring); }, fail);
           });
}

void EngineService::Read(const Scoring& scoring) {
  engine::ScoreRequest texts;
  texts.version = scoring.request->version().sha256();
  if (texts.version.empty()) texts.base = scoring.request->base();
  for (const auto& input : scoring.request->inputs())
    texts.inputs.push_back(
        {input.prompt(), input.text(), {input.tokens().ids().begin(), input.tokens().ids().end()}});
  texts.best = scoring.request->best();
  texts.abandoned = [context = scoring.context] { return context->IsCancelled(); };
  engine_.Score(std::move(texts), [=, this](const StatusOr<engine::ScoreResult>& result) {
    // It left memory while this waited.
    if (IsNotResident(result.status()) && scoring.loads > 1) {
      Scoring again = scoring;
      --again.loads;
      return Begin(again);
    }
    if (result.ok()) {
      for (const engine::TextScore& one : result->scores)
        *scoring.response->add_scores() = ToProto(one);
      scoring.response->set_base_fingerprint(result->base_fingerprint);
    }
    scoring.reactor->Finish(Answer(result.status()));
  });
}

}  // namespace graft::worker::agent
