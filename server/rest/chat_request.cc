#include "server/rest/chat_request.h"

#include <fmt/format.h>

namespace graft::server::rest {
namespace {

constexpr size_t kMaxName = 256;
constexpr size_t kMaxText = size_t{16} << 20;
constexpr int64_t kMostTokens = int64_t{1} << 31;

/// A message's content: a text, or parts of type text, which are joined.
StatusOr<std::string> ReadContent(const Json& content, const std::string& at) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array())
    return InvalidArgumentError(at + " must be a text, or a list of parts").At(at);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    Fields part(content[i], fmt::format("{}[{}]", at, i));
    if (part.Text("type", kMaxName) != "text")
      part.Fail("type", "must be text: graft's models read nothing else");
    text += part.Text("text", kMaxText);
    GRAFT_RETURN_IF_ERROR(part.Finish());
  }
  return text;
}

Status ReadToolCalls(const Json& calls, const std::string& at, graft::v1::ChatMessage& message) {
  if (!calls.is_array()) return InvalidArgumentError(at + " must be a list").At(at);
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::string place = fmt::format("{}[{}]", at, i);
    Fields call(calls[i], place);
    graft::v1::ToolCall& made = *message.add_tool_calls();
    made.set_id(call.Text("id", kMaxName));
    made.set_type(call.Text("type", kMaxName));
    if (!call.Has("function")) call.Fail("function", "must be there");
    GRAFT_RETURN_IF_ERROR(call.Finish());
    Fields function(calls[i]["function"], place + ".function");
    made.mutable_function()->set_name(function.Text("name", kMaxName));
    made.mutable_function()->set_arguments(function.Text("arguments", kMaxText));
    GRAFT_RETURN_IF_ERROR(function.Finish());
  }
  return OkStatus();
}

Status ReadMessage(const Json& json, const std::string& at, graft::v1::ChatMessage& message) {
  Fields fields(json, at);
  message.set_role(fields.Text("role", kMaxName));
  if (!fields.Has("role")) fields.Fail("role", "must be there");
  if (fields.Has("name")) message.set_name(fields.Text("name", kMaxName));
  if (fields.Has("tool_call_id")) message.set_tool_call_id(fields.Text("tool_call_id", kMaxName));
  if (fields.Has("reasoning_content"))
    message.set_reasoning_content(fields.Text("reasoning_content", kMaxText));
  // An answer of this API is sent back as it came: with empty ones of these.
  for (const char* name : {"refusal", "audio", "annotations", "function_call"}) {
    const bool is_empty = !fields.Has(name) || fields.raw(name).empty();
    if (!is_empty) fields.Fail(name, "isn't read; leave it out");
  }
  const bool has_content = fields.Has("content");
  const bool has_calls = fields.Has("tool_calls");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  if (has_content) {
    GRAFT_ASSIGN_OR_RETURN(std::string text, ReadContent(json["content"], at + ".content"));
    message.set_content(std::move(text));
  }
  if (has_calls) return ReadToolCalls(json["tool_calls"], at + ".tool_calls", message);
  return OkStatus();
}

Status ReadMessages(const Json& body, graft::v1::Chat& chat) {
  const Json& messages = body["messages"];
  if (!messages.is_array()) return InvalidArgumentError("messages must be a list").At("messages");
  for (size_t i = 0; i < messages.size(); ++i)
    GRAFT_RETURN_IF_ERROR(
        ReadMessage(messages[i], fmt::format("messages[{}]", i), *chat.add_messages()));
  return OkStatus();
}

/// A null is as good as nothing; anything else must be this text.
void ReadOnly(Fields& fields, const char* name, std::initializer_list<const char*> fine) {
  if (!fields.Has(name)) return;
  std::string list;
  for (const char* text : fine) {
    if (fields.raw(name) == text) return;
    list += (list.empty() ? "" : " or ") + std::string(text);
  }
  fields.Fail(name, "can only be " + list + " here");
}

/// What would change an answer and isn't built.
void RefuseUnbuilt(Fields& fields) {
  if (fields.Has("response_format")) {
    const Json& format = fields.raw("response_format");
    if (!format.is_object() || format.value("type", Json()) != "text")
      fields.Fail("response_format",
                  "can only be {\"type\": \"text\"}: answers aren't constrained");
  }
  if (fields.Has("modalities") && fields.raw("modalities") != Json::array({"text"}))
    fields.Fail("modalities", "can only be [\"text\"]");
  ReadOnly(fields, "tool_choice", {"auto", "none"});
  for (const char* name : {"functions", "function_call", "audio", "prediction", "reasoning_effort",
                           "verbosity", "web_search_options"}) {
    if (fields.Has(name)) fields.Fail(name, "isn't built; leave it out");
  }
  (void)fields.Flag("parallel_tool_calls", true);
}

void ReadTools(Fields& fields, graft::v1::Chat& chat) {
  const bool wants_none = fields.Has("tool_choice") && fields.raw("tool_choice") == "none";
  if (fields.Has("tools")) {
    const Json& tools = fields.raw("tools");
    if (!tools.is_array()) return fields.Fail("tools", "must be a list");
    for (const Json& tool : tools) {
      if (!tool.is_object()) return fields.Fail("tools", "must be a list of objects");
      if (!wants_none) chat.add_tools(tool.dump());
    }
  }
  if (!fields.Has("chat_template_kwargs")) return;
  const Json& variables = fields.raw("chat_template_kwargs");
  if (!variables.is_object()) return fields.Fail("chat_template_kwargs", "must be an object");
  for (const auto& [name, value] : variables.items())
    (*chat.mutable_variables())[name] = value.dump();
}

void ReadLength(Fields& fields, graft::v1::GenerationSettings& settings) {
  const bool has_both = fields.Has("max_completion_tokens") && fields.Has("max_tokens");
  if (has_both && fields.raw("max_completion_tokens") != fields.raw("max_tokens"))
    return fields.Fail("max_tokens", "is the old name of max_completion_tokens; say one of them");
  for (const char* name : {"max_completion_tokens", "max_tokens"}) {
    if (fields.Has(name)) settings.set_max_tokens(fields.Integer(name, 1, kMostTokens, 1));
  }
}

}  // namespace

StatusOr<ChatRequest> ReadChatRequest(const Json& body) {
  ChatRequest request;
  graft::v1::GenerationSettings& settings = *request.generate.mutable_generation();
  Fields fields(body, "");
  request.model = fields.Text("model", 512);
  if (!fields.Has("model")) fields.Fail("model", "must name a base or an adapter");
  if (!fields.Has("messages")) fields.Fail("messages", "must be there");
  ReadGeneration(fields, settings);
  ReadLength(fields, settings);
  request.wants_logprobs = fields.Flag("logprobs", false);
  const bool has_top = fields.Has("top_logprobs");
  const int64_t top = fields.Integer("top_logprobs", 0, 20, 0);
  if (has_top && !request.wants_logprobs)
    fields.Fail("top_logprobs", "has a meaning only with \"logprobs\": true");
  if (request.wants_logprobs) settings.set_logprobs(static_cast<int32_t>(top));
  request.stream = ReadStreamOptions(fields);
  ReadTools(fields, *request.generate.mutable_chat());
  RefuseUnbuilt(fields);
  ReadHarmless(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  GRAFT_RETURN_IF_ERROR(ReadMessages(body, *request.generate.mutable_chat()));
  return request;
}

}  // namespace graft::server::rest
