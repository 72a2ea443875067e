#include "common/templates/unread.h"

#include <algorithm>
#include <initializer_list>

namespace graft::templates {
namespace {

constexpr const char* kTools = "tools";
constexpr const char* kToolCalls = "messages.tool_calls";
constexpr const char* kReasoning = "messages.reasoning_content";

/// The names under which a message's reasoning is given and read.
constexpr std::initializer_list<const char*> kReasoningNames = {"reasoning_content", "thinking",
                                                                "reasoning"};

bool NamesOneOf(const ChatTemplate& chat_template, std::initializer_list<const char*> names) {
  return std::ranges::any_of(names, [&](const char* name) { return chat_template.Names(name); });
}

bool HasField(const OrderedJson& messages, std::initializer_list<const char*> names) {
  const auto has = [&](const OrderedJson& message) {
    return message.is_object() && std::ranges::any_of(names, [&](const char* name) {
             const auto found = message.find(name);
             return found != message.end() && !found->is_null();
           });
  };
  return messages.is_array() && std::ranges::any_of(messages, has);
}

}  // namespace

Parts UnreadParts(const ChatTemplate& chat_template) {
  Parts unread;
  if (!chat_template.Names("tools")) unread.emplace_back(kTools);
  if (NamesOneOf(chat_template, {"tojson", "items"})) return unread;
  if (!chat_template.Names("tool_calls")) unread.emplace_back(kToolCalls);
  if (!NamesOneOf(chat_template, kReasoningNames)) unread.emplace_back(kReasoning);
  return unread;
}

Parts PartsOf(const Conversation& conversation, const Parts& parts) {
  const OrderedJson& messages = conversation.messages;
  Parts held;
  for (const std::string& part : parts) {
    if (part == kTools       ? conversation.tools.is_array() && !conversation.tools.empty()
        : part == kToolCalls ? HasField(messages, {"tool_calls"})
                             : HasField(messages, kReasoningNames))
      held.push_back(part);
  }
  return held;
}

std::vector<std::string> UnreadVariables(const ChatTemplate& chat_template,
                                         const OrderedJson& variables) {
  std::vector<std::string> unread;
  for (const auto& item : variables.items()) {
    if (!chat_template.Names(item.key())) unread.push_back("variables." + item.key());
  }
  return unread;
}

}  // namespace graft::templates
