#include "server/rest/chat.h"

#include "server/rest/answer_writer.h"
#include "server/rest/chat_request.h"
#include "server/rest/handler.h"
#include "server/rest/openai_names.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

calls::Awaitable<Status> Answer(service::Services& services, calls::CallContext& context,
                                const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  GRAFT_CO_ASSIGN_OR_RETURN(ChatRequest asked, ReadChatRequest(body));
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, asked.model));
  service::NameIn(model, asked.generate);
  AnswerWriter answer({.shape = ChatShape(),
                       .model = asked.model,
                       .stream = asked.stream,
                       .wants_logprobs = asked.wants_logprobs,
                       .must_count = {{"chat.tools", "tools"}}},
                      services.models, context, out);
  const auto writer = answer.ForPrompt(0);
  const Status status = co_await services.inference.Generate(context, asked.generate, *writer);
  GRAFT_CO_RETURN_IF_ERROR(answer.status());
  GRAFT_CO_RETURN_IF_ERROR(ByOpenAiNames(status));
  co_return co_await answer.Finish();
}

}  // namespace

http::Handler ChatHandler(service::Services& services) { return HandlerOf(services, Answer); }

}  // namespace graft::server::rest
