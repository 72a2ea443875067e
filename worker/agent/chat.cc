#include "worker/agent/chat.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "common/base/json.h"
#include "common/base/rename_fields.h"
#include "common/base/utf8.h"
#include "common/datasets/chat.h"
#include "common/templates/clock.h"
#include "common/templates/unread.h"

namespace graft::worker::agent {
namespace {

using graft::v1::Chat;
using graft::v1::ChatMessage;

constexpr size_t kMostParsed = 32;

Status Fault(const std::string& field, const std::string& what) {
  return InvalidArgumentError(field + " " + what).At(field);
}

std::string Entry(const std::string& list, int index) {
  return list + "[" + std::to_string(index) + "]";
}

/// Errors: InvalidArgument at `field`.
StatusOr<OrderedJson> Parsed(const std::string& text, const std::string& field) {
  StatusOr<OrderedJson> json = ParseOrderedJson(text, field);
  return json.ok() ? std::move(json) : Status(json.status()).At(field);
}
StatusOr<OrderedJson> ParsedObject(const std::string& text, const std::string& field) {
  GRAFT_ASSIGN_OR_RETURN(OrderedJson json, Parsed(text, field));
  if (!json.is_object()) return Fault(field, "must be a JSON object");
  return json;
}

OrderedJson ToJson(const graft::v1::ToolCall& call) {
  OrderedJson function = {{"name", call.function().name()}, {"arguments", OrderedJson::object()}};
  if (!call.function().arguments().empty()) function["arguments"] = call.function().arguments();
  OrderedJson json = OrderedJson::object();
  if (!call.id().empty()) json["id"] = call.id();
  json["type"] = call.type().empty() ? "function" : call.type();
  json["function"] = std::move(function);
  return json;
}

/// What the message has that another role's has.
Status CheckForm(const ChatMessage& message, const std::string& field) {
  const std::string& role = message.role();
  if (role != "assistant" && message.has_reasoning_content())
    return Fault(field + ".reasoning_content", "is an assistant's; the role here is " + role);
  if (role != "tool" && message.has_tool_call_id())
    return Fault(field + ".tool_call_id", "belongs to the role tool; the role here is " + role);
  return OkStatus();
}

StatusOr<OrderedJson> ToJson(const ChatMessage& message, const std::string& field) {
  OrderedJson json = {{"role", message.role()}};
  if (message.has_content()) json["content"] = message.content();
  if (message.has_name()) json["name"] = message.name();
  if (message.has_reasoning_content()) json["reasoning_content"] = message.reasoning_content();
  if (message.has_tool_call_id()) json["tool_call_id"] = message.tool_call_id();
  for (const graft::v1::ToolCall& call : message.tool_calls())
    json["tool_calls"].push_back(ToJson(call));
  if (const auto fault = datasets::CheckMessage(field, datasets::ChatUse::kRequest, json))
    return InvalidArgumentError(fault->message).At(fault->place);
  GRAFT_RETURN_IF_ERROR(CheckForm(message, field));
  return json;
}

/// The templates' fields lie below "chat" in a request, but for the template itself.
std::string BelowChat(const std::string& field) {
  return field.empty() || field == "chat_template" ? field : "chat." + field;
}

}  // namespace

StatusOr<templates::Conversation> ToConversation(const Chat& chat) {
  templates::Conversation conversation;
  if (chat.messages().empty())
    return Fault("chat.messages", "is empty; say something for the model to answer");
  for (int i = 0; i < chat.messages_size(); ++i) {
    GRAFT_ASSIGN_OR_RETURN(OrderedJson message,
                           ToJson(chat.messages(i), Entry("chat.messages", i)));
    conversation.messages.push_back(std::move(message));
  }
  for (int i = 0; i < chat.tools_size(); ++i) {
    GRAFT_ASSIGN_OR_RETURN(OrderedJson tool, ParsedObject(chat.tools(i), Entry("chat.tools", i)));
    conversation.tools.push_back(std::move(tool));
  }
  return conversation;
}

StatusOr<RenderedChat> ChatRenderer::Render(const templates::ChatFiles& files, const Chat& chat,
                                            const Json& variables) {
  GRAFT_ASSIGN_OR_RETURN(const templates::Conversation conversation, ToConversation(chat));
  templates::RenderOptions options;
  options.add_generation_prompt = true;
  options.special_tokens = files.special_tokens;
  options.now = templates::ClockNow();
  OrderedJson own = OrderedJson::object();
  for (const auto& [name, text] : chat.variables()) {
    GRAFT_ASSIGN_OR_RETURN(own[name], agent::Parsed(text, "chat.variables." + Printable(name)));
  }
  options.variables = OrderedJson(variables);
  options.variables.update(own);
  const StatusOr<std::string> source =
      templates::ChooseTemplate(files, /*has_tools=*/!chat.tools().empty());
  if (source.status().code() == StatusCode::kNotFound) {
    return FailedPreconditionError(source.status().message() +
                                   ", so a chat can't be written down for the model; give it a "
                                   "prompt instead")
        .AddDetail({"NO_CHAT_TEMPLATE", "chat", 0, {}, {}});
  }
  if (!source.ok()) return source.status();
  GRAFT_ASSIGN_OR_RETURN(const templates::ChatTemplate chat_template, Parsed(*source));
  StatusOr<templates::Rendered> rendered = chat_template.Render(conversation, options);
  if (!rendered.ok()) return RenameFields(rendered.status(), BelowChat);
  RenderedChat result{std::move(rendered->text),
                      templates::PartsOf(conversation, templates::UnreadParts(chat_template))};
  std::ranges::move(templates::UnreadVariables(chat_template, own),
                    std::back_inserter(result.unread));
  for (std::string& path : result.unread) path.insert(0, "chat.");
  return result;
}

StatusOr<templates::ChatTemplate> ChatRenderer::Parsed(const std::string& source) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(
        parsed_, source, [](const auto& entry) -> const std::string& { return entry.first; });
    if (found != parsed_.end()) {
      parsed_.splice(parsed_.begin(), parsed_, found);
      return found->second;
    }
  }
  GRAFT_ASSIGN_OR_RETURN(templates::ChatTemplate parsed, templates::ChatTemplate::Parse(source));
  const std::lock_guard lock(mutex_);
  parsed_.emplace_front(source, parsed);
  if (parsed_.size() > kMostParsed) parsed_.pop_back();
  return parsed;
}

}  // namespace graft::worker::agent
