#include "server/rest/completions.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/calls/together.h"
#include "server/rest/answer_writer.h"
#include "server/rest/completion_request.h"
#include "server/rest/handler.h"
#include "server/rest/openai_names.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

using graft::v1::GenerateRequest;
using graft::v1::ScoreRequest;
using graft::v1::ScoreResponse;

/// Requires: the prompt is given as tokens.
void AddTokens(const PromptText& prompt, graft::v1::TokenIds& ids) {
  const auto& tokens = std::get<std::vector<int32_t>>(prompt);
  ids.mutable_ids()->Add(tokens.begin(), tokens.end());
}

/// One request, while it is answered.
class Completion {
 public:
  Completion(service::Services& services, calls::CallContext& context, CompletionRequest asked,
             service::Model model, http::Responder& out)
      : services_(services),
        context_(context),
        asked_(std::move(asked)),
        model_(std::move(model)),
        answer_({.shape = TextShape(),
                 .model = asked_.model,
                 .stream = asked_.stream,
                 .wants_logprobs = asked_.wants_logprobs,
                 .must_count = {}},
                services.models, context, out) {}

  calls::Awaitable<Status> Run() {
    if (asked_.echo) GRAFT_CO_RETURN_IF_ERROR(co_await Echo());
    if (asked_.max_tokens > 0) {
      std::vector<std::function<calls::Awaitable<Status>()>> texts;
      for (size_t i = 0; i < asked_.prompts.size(); ++i)
        texts.push_back([this, i] { return Generate(i); });
      if (asked_.stream.stream) {
        // One behind the other: a stream has one writer.
        for (const auto& text : texts) GRAFT_CO_RETURN_IF_ERROR(co_await text());
      } else {
        GRAFT_CO_RETURN_IF_ERROR(co_await calls::Together(std::move(texts)));
      }
    }
    co_return co_await answer_.Finish();
  }

 private:
  int num_choices() const { return std::max(1, asked_.settings.n()); }

  calls::Awaitable<Status> Generate(size_t prompt) {
    GenerateRequest request;
    service::NameIn(model_, request);
    *request.mutable_generation() = asked_.settings;
    if (const auto* text = std::get_if<std::string>(&asked_.prompts[prompt])) {
      request.set_prompt(*text);
    } else {
      AddTokens(asked_.prompts[prompt], *request.mutable_tokens());
    }
    const auto writer = answer_.ForPrompt(static_cast<int>(prompt) * num_choices());
    const Status status = co_await services_.inference.Generate(context_, request, *writer);
    GRAFT_CO_RETURN_IF_ERROR(answer_.status());
    co_return ByOpenAiNames(status);
  }

  /// Puts each prompt in front of its choices, with its log-probabilities if they are asked for.
  calls::Awaitable<Status> Echo() {
    ScoreRequest request;
    service::NameIn(model_, request);
    request.set_best(asked_.settings.logprobs());
    for (const PromptText& prompt : asked_.prompts) {
      ScoreRequest::Input& input = *request.add_inputs();
      if (const auto* text = std::get_if<std::string>(&prompt)) {
        input.set_text(*text);
      } else {
        AddTokens(prompt, *input.mutable_tokens());
      }
    }
    StatusOr<ScoreResponse> scored = co_await services_.inference.Score(context_, request);
    if (!scored.ok()) co_return ByOpenAiNames(scored.status());
    answer_.Note(scored->provenance());
    for (size_t i = 0; i < asked_.prompts.size(); ++i)
      GRAFT_CO_RETURN_IF_ERROR(co_await EchoOne(i, scored->scores(static_cast<int>(i))));
    co_return OkStatus();
  }

  calls::Awaitable<Status> EchoOne(size_t prompt, const ScoreResponse::Score& score) {
    std::string text;
    Tokens tokens;
    for (const ScoreResponse::Token& token : score.tokens()) {
      text += token.text();
      auto& made = tokens.emplace_back();
      made.set_id(token.id());
      if (token.has_log_probability())
        made.set_log_probability(static_cast<float>(token.log_probability()));
      *made.mutable_best() = token.best();
    }
    if (const auto* given = std::get_if<std::string>(&asked_.prompts[prompt])) text = *given;
    Json logprobs;
    if (asked_.wants_logprobs) {
      const std::string base = model_.base.empty() ? answer_.base() : model_.base;
      GRAFT_CO_ASSIGN_OR_RETURN(const TokenTexts* texts, co_await answer_.Texts(base));
      logprobs = TextShape().Logprobs(tokens, *texts, 0);
    }
    if (asked_.max_tokens == 0) answer_.AddPromptTokens(score.tokens_size());
    const std::string finish = asked_.max_tokens == 0 ? "length" : "";
    for (int choice = 0; choice < num_choices(); ++choice) {
      const int index = static_cast<int>(prompt) * num_choices() + choice;
      GRAFT_CO_RETURN_IF_ERROR(co_await answer_.Echo(index, text, logprobs, finish));
    }
    co_return OkStatus();
  }

  service::Services& services_;
  calls::CallContext& context_;
  const CompletionRequest asked_;
  const service::Model model_;
  AnswerWriter answer_;
};

calls::Awaitable<Status> Answer(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  GRAFT_CO_ASSIGN_OR_RETURN(CompletionRequest asked, ReadCompletionRequest(body));
  GRAFT_CO_ASSIGN_OR_RETURN(service::Model model,
                            co_await services.models.Find(context, asked.model));
  Completion completion(services, context, std::move(asked), std::move(model), out);
  co_return co_await completion.Run();
}

}  // namespace

http::Handler CompletionsHandler(service::Services& services) {
  return HandlerOf(services, Answer);
}

}  // namespace graft::server::rest
