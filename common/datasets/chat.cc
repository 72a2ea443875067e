#include "common/datasets/chat.h"

#include <algorithm>
#include <array>

#include "common/base/utf8.h"

namespace graft::datasets {
namespace {

using Fault = std::optional<ChatFault>;

constexpr JsonLimits kLimits{.max_bytes = size_t{16} << 20, .max_depth = 64};
constexpr size_t kMaxMessages = 10'000;
constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};

std::string TypeOf(const OrderedJson& json) {
  if (json.is_array()) return "a list";
  if (json.is_object()) return "an object";
  if (json.is_string()) return "a text";
  return json.is_null() ? "null" : json.is_boolean() ? "true or false" : "a number";
}

Fault WrongType(const std::string& place, const std::string& wanted, const OrderedJson& is) {
  return ChatFault{"WRONG_TYPE", place + " must be " + wanted + ", and is " + TypeOf(is), place};
}

bool IsThere(const OrderedJson& object, const char* name) {
  return object.contains(name) && !object[name].is_null();
}

StatusOr<OrderedJson> Parse(std::string_view text, std::string_view what) {
  return ParseOrderedJson(text, what, kLimits);
}

Fault BadJson(const Status& status) {
  return ChatFault{"BAD_JSON", Printable(status.message(), 300)};
}

/// Makes one text of a list of parts. Requires: a list.
Fault JoinParts(const std::string& place, OrderedJson& content) {
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const OrderedJson& part = content[i];
    const std::string at = place + "[" + std::to_string(i) + "]";
    if (!part.is_object()) return WrongType(at, "an object with type and text", part);
    const OrderedJson type = part.value("type", OrderedJson("text"));
    if (type != "text") {
      return ChatFault{
          "WRONG_TYPE",
          at + " is of type " +
              (type.is_string() ? Quoted(type.get_ref<const std::string&>()) : TypeOf(type)) +
              "; graft trains on text alone",
          at};
    }
    const OrderedJson own = part.value("text", OrderedJson());
    if (!own.is_string()) return WrongType(at + ".text", "a text", own);
    text += (i > 0 ? "\n" : "") + own.get_ref<const std::string&>();
  }
  content = std::move(text);
  return std::nullopt;
}

/// Makes a call's arguments the object that OpenAI's form has as a text: templates of today read an
/// object, and get one too where such a conversation is answered. False if they are neither.
bool ReadArguments(OrderedJson& arguments) {
  if (arguments.is_object()) return true;
  if (!arguments.is_string()) return false;
  StatusOr<OrderedJson> read = Parse(arguments.get_ref<const std::string&>(), "arguments");
  if (!read.ok() || !read->is_object()) return false;
  arguments = *std::move(read);
  return true;
}

Fault CheckToolCalls(const std::string& place, OrderedJson& calls) {
  const auto bad = [](const std::string& at, const std::string& what) {
    return ChatFault{"BAD_TOOL_CALLS", at + " " + what, at};
  };
  if (!calls.is_array()) return bad(place, "must be a list of calls, and is " + TypeOf(calls));
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::string at = place + "[" + std::to_string(i) + "]";
    OrderedJson& call = calls[i];
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object())
      return bad(at, "must be an object with a function {\"name\": ..., \"arguments\": ...}");
    if (call.value("type", OrderedJson("function")) != "function")
      return bad(at + ".type", "must be \"function\"");
    OrderedJson& function = call["function"];
    const OrderedJson name = function.value("name", OrderedJson());
    if (!name.is_string() || name.get_ref<const std::string&>().empty())
      return bad(at + ".function.name", "must be the name of a function");
    if (!ReadArguments(function["arguments"])) {
      return bad(at + ".function.arguments", "must be an object, or a text of JSON that is one");
    }
  }
  return std::nullopt;
}

Fault CheckRole(const std::string& place, ChatUse use, const OrderedJson& message) {
  const OrderedJson role = message.value("role", OrderedJson());
  const bool may_be_function = use == ChatUse::kRequest;
  if (may_be_function && role == "function") return std::nullopt;
  if (role.is_string() &&
      std::ranges::find(kRoles, role.get_ref<const std::string&>()) != kRoles.end()) {
    return std::nullopt;
  }
  std::string text = place + ".role is ";
  text += role.is_null()     ? "missing"
          : role.is_string() ? Quoted(role.get_ref<const std::string&>())
                             : TypeOf(role);
  text += "; it must be one of system, developer, user, assistant, tool";
  if (may_be_function) text += ", function";
  if (role.is_null() && message.contains("from") && message.contains("value")) {
    text +=
        "; this is ShareGPT's form: write from as role (human as user, gpt as assistant) and "
        "value as content";
  } else if (role == "function") {
    text += "; write tool for function";
  }
  return ChatFault{"BAD_ROLE", std::move(text), place + ".role"};
}

}  // namespace

Fault CheckMessage(const std::string& place, ChatUse use, OrderedJson& message) {
  if (!message.is_object()) return WrongType(place, "an object with role and content", message);
  if (Fault fault = CheckRole(place, use, message)) return fault;
  const bool is_assistant = message["role"] == "assistant";
  const bool calls = IsThere(message, "tool_calls");
  if (calls) {
    const std::string at = place + ".tool_calls";
    if (!is_assistant && !message["tool_calls"].empty()) {
      return ChatFault{"BAD_TOOL_CALLS",
                       at + ": only the assistant calls tools, and the role is " +
                           message["role"].get_ref<const std::string&>(),
                       at};
    }
    if (Fault fault = CheckToolCalls(at, message["tool_calls"])) return fault;
  }
  if (IsThere(message, "weight") && message["weight"] != 0 && message["weight"] != 1)
    return ChatFault{"BAD_WEIGHT", place + ".weight must be 0 or 1", place + ".weight"};
  if (IsThere(message, "name") && !message["name"].is_string())
    return WrongType(place + ".name", "a text", message["name"]);
  if (!IsThere(message, "content")) {
    if (calls && !message["tool_calls"].empty()) return std::nullopt;
    return ChatFault{"CONTENT_MISSING",
                     place + ".content is missing" +
                         (is_assistant ? "; only a message with tool_calls needs none" : ""),
                     place + ".content"};
  }
  OrderedJson& content = message["content"];
  if (content.is_array()) return JoinParts(place + ".content", content);
  if (!content.is_string()) return WrongType(place + ".content", "a text", content);
  return std::nullopt;
}

std::optional<ChatFault> CheckMessages(std::string_view json, std::string& written) {
  StatusOr<OrderedJson> parsed = Parse(json, "messages");
  if (!parsed.ok()) return BadJson(parsed.status());
  OrderedJson& messages = *parsed;
  if (!messages.is_array()) return WrongType("messages", "a list of messages", messages);
  if (messages.empty()) return ChatFault{"MESSAGES_EMPTY", "messages holds no message"};
  if (messages.size() > kMaxMessages) {
    return ChatFault{"TOO_MANY_MESSAGES", "messages holds " + std::to_string(messages.size()) +
                                              "; the limit is " + std::to_string(kMaxMessages)};
  }
  bool has_assistant = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string place = "messages[" + std::to_string(i) + "]";
    if (Fault fault = CheckMessage(place, ChatUse::kTraining, messages[i])) return fault;
    has_assistant = has_assistant || messages[i]["role"] == "assistant";
  }
  if (!has_assistant) {
    return ChatFault{"NO_ASSISTANT",
                     "no message is the assistant's, so there is nothing to learn from it"};
  }
  if (messages.back()["role"] != "assistant") {
    return ChatFault{"LAST_NOT_ASSISTANT",
                     "the last message is the " +
                         messages.back()["role"].get_ref<const std::string&>() +
                         "'s; end the conversation with what the assistant answers"};
  }
  written = messages.dump();
  return std::nullopt;
}

std::optional<ChatFault> CheckTools(std::string_view json, std::string& written) {
  written.clear();
  const StatusOr<OrderedJson> parsed = Parse(json, "tools");
  if (!parsed.ok()) return BadJson(parsed.status());
  const OrderedJson& tools = *parsed;
  if (tools.is_null()) return std::nullopt;
  if (!tools.is_array()) return WrongType("tools", "a list of functions", tools);
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string at = "tools[" + std::to_string(i) + "]";
    const OrderedJson& tool = tools[i];
    if (!tool.is_object()) return WrongType(at, "an object", tool);
    const OrderedJson& function = IsThere(tool, "function") ? tool["function"] : tool;
    if (!function.is_object() || !function.value("name", OrderedJson()).is_string())
      return ChatFault{"BAD_TOOLS", at + " has no function with a name"};
  }
  if (!tools.empty()) written = tools.dump();
  return std::nullopt;
}

}  // namespace graft::datasets
