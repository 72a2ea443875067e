/// What InferenceService does of language models.

#include <chrono>
#include <map>
#include <utility>

#include "server/service/inference_inputs.h"
#include "server/service/inference_service.h"
#include "server/service/version_ref.h"

namespace graft::server::service {
namespace {

namespace pb = graft::internal::v1;
using graft::v1::GenerateResponse;
using Clock = std::chrono::steady_clock;

/// Errors: InvalidArgument for what no model could answer.
Status CheckInput(const graft::v1::GenerateRequest& request) {
  using Request = graft::v1::GenerateRequest;
  switch (request.input_case()) {
    case Request::kChat:
      if (!request.chat().messages().empty()) return OkStatus();
      return InvalidArgumentError("the chat has no message").At("chat.messages");
    case Request::kPrompt:
      if (!request.prompt().empty()) return OkStatus();
      return InvalidArgumentError("the prompt is empty").At("prompt");
    case Request::kTokens:
      if (!request.tokens().ids().empty()) return OkStatus();
      return InvalidArgumentError("there is no token").At("tokens");
    case Request::INPUT_NOT_SET:
      break;
  }
  return InvalidArgumentError("say what is to be answered: a prompt or a chat").At("prompt");
}

/// Errors: InvalidArgument for what no model could score.
Status CheckInputs(const graft::v1::ScoreRequest& request) {
  GRAFT_RETURN_IF_ERROR(CheckInputCount(request.inputs_size()));
  for (int i = 0; i < request.inputs_size(); ++i) {
    const graft::v1::ScoreRequest::Input& input = request.inputs(i);
    const std::string at = fmt::format("inputs[{}]", i);
    if (input.text().empty() && input.tokens().ids().empty())
      return InvalidArgumentError("a text is empty").At(at + ".text");
    if (input.has_tokens() && !(input.text().empty() && input.prompt().empty()))
      return InvalidArgumentError("an input is a text or its tokens, not both").At(at + ".tokens");
  }
  return OkStatus();
}

/// When each sequence of a request had its last token.
class TokenClock {
 public:
  TokenClock(calls::Probe& probe, double first_seconds) : probe_(probe) {
    probe_.FirstToken(first_seconds);
  }
  void Saw(const GenerateResponse& part) {
    const Clock::time_point now = Clock::now();
    const auto [last, is_first] = last_.try_emplace(part.index(), now);
    if (is_first) return;
    const std::chrono::duration<double> passed = now - last->second;
    const int tokens = std::max(1, part.tokens_size());
    probe_.InterToken(passed.count() / tokens, tokens);
    last->second = now;
  }

 private:
  calls::Probe& probe_;
  std::map<int32_t, Clock::time_point> last_;
};

}  // namespace

calls::Awaitable<StatusOr<InferenceService::Ended>> InferenceService::PassOn(
    const calls::CallContext& context, background::EngineLink& link,
    const pb::EngineGenerateRequest& request, const Target& target, const Stopwatch& watch,
    calls::StreamWriter<GenerateResponse>& writer) {
  const auto stream = link.Generate(request, context);
  std::optional<TokenClock> clock;
  Ended ended;
  while (true) {
    std::optional<pb::EngineGenerateResponse> next = co_await stream->Read();
    if (!next) break;
    if (!clock) {
      clock.emplace(backend_.probe, watch.seconds());
      context.span.AddEvent("first token");
    }
    clock->Saw(next->part());
    GenerateResponse& part = *next->mutable_part();
    *part.mutable_provenance() = target.Provenance(next->base_fingerprint());
    if (!co_await writer.Write(std::move(part))) {
      ended.status = CancelledError("the caller went away");
      co_return ended;
    }
  }
  ended.status = stream->status();
  if (!clock && !ended.status.ok()) co_return ended.status;
  if (ended.status.code() == StatusCode::kUnavailable) {
    ended.status = UnavailableError("worker " + link.worker_id() +
                                    " went away in the middle of the text; ask again")
                       .AddDetail({"TEXT_BROKEN", {}, 0, {}, {}});
  }
  co_return ended;
}

calls::Awaitable<Status> InferenceService::Generate(calls::CallContext& context,
                                                    const graft::v1::GenerateRequest& request,
                                                    calls::StreamWriter<GenerateResponse>& writer) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInput(request));
  const Stopwatch watch(backend_.probe);
  GRAFT_CO_ASSIGN_OR_RETURN(const Target target,
                            co_await Resolve(context, request.adapter(), request.base()));
  pb::EngineGenerateRequest engine_request;
  target.NameIn(engine_request);
  if (request.has_chat()) {
    *engine_request.mutable_chat() = request.chat();
  } else if (request.has_tokens()) {
    *engine_request.mutable_tokens() = request.tokens();
  } else {
    engine_request.set_prompt(request.prompt());
  }
  *engine_request.mutable_generation() = request.generation();
  std::function call = [&](background::EngineLink& link) {
    return PassOn(context, link, engine_request, target, watch, writer);
  };
  const StatusOr<Ended> ended = co_await backend_.workers.CallOne<Ended>(
      context, target.version.base, target.version.sha256, call);
  co_return ended.ok() ? ended->status : ended.status();
}

calls::Awaitable<StatusOr<graft::v1::ScoreResponse>> InferenceService::Score(
    calls::CallContext& context, const graft::v1::ScoreRequest& request) {
  GRAFT_CO_RETURN_IF_ERROR(CheckInputs(request));
  const Stopwatch watch(backend_.probe);
  GRAFT_CO_ASSIGN_OR_RETURN(const Target target,
                            co_await Resolve(context, request.adapter(), request.base()));
  pb::EngineScoreRequest engine_request;
  target.NameIn(engine_request);
  *engine_request.mutable_inputs() = request.inputs();
  engine_request.set_best(request.best());
  StatusOr<pb::EngineScoreResponse> reply = co_await backend_.workers.CallOne(
      context, target.version, &background::EngineLink::Score, engine_request);
  if (!reply.ok()) co_return reply.status();
  graft::v1::ScoreResponse response;
  *response.mutable_scores() = std::move(*reply->mutable_scores());
  *response.mutable_provenance() = target.Provenance(reply->base_fingerprint());
  co_return response;
}

}  // namespace graft::server::service
