#pragma once
/// Conversations as OpenAI's chat form has them: those that are trained on, and the messages of
/// those that are answered. Pure functions.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/json.h"

namespace graft::datasets {

struct ChatFault {
  std::string reason, message;
  std::string place = {};  ///< "messages[2].role"; empty if it is of no one field.
};

/// Whose messages there may be: system, developer, user, assistant and tool, and in a request also
/// function, tool's old name, which training data must write as tool.
enum class ChatUse { kTraining, kRequest };

/// Checks a message, an object with a role and a content, at its place ("messages[2]"). The content
/// is a text, or a list of parts of text, which become one text with line breaks between them; it
/// may be absent beside tool_calls, which are the assistant's alone. Arguments of calls become
/// objects. A weight is 0 or 1. Fields that aren't named here stay as they are, for templates may
/// read them.
/// Reasons: WRONG_TYPE, BAD_ROLE, CONTENT_MISSING, BAD_WEIGHT, BAD_TOOL_CALLS; messages name the
/// place.
std::optional<ChatFault> CheckMessage(const std::string& place, ChatUse use, OrderedJson& message);

/// Checks the JSON of a conversation to train on and writes it compactly to `written`, the keys in
/// their order: a list of messages as above. The assistant speaks, and speaks last.
/// Reasons: CheckMessage's, BAD_JSON, MESSAGES_EMPTY, TOO_MANY_MESSAGES (10,000), NO_ASSISTANT,
/// LAST_NOT_ASSISTANT.
std::optional<ChatFault> CheckMessages(std::string_view json, std::string& written);

/// The same of a conversation's tools: a list of objects, each a function's JSON schema with a
/// name; null and an empty list are none, and nothing is written. Reasons: BAD_JSON, WRONG_TYPE,
/// BAD_TOOLS.
std::optional<ChatFault> CheckTools(std::string_view json, std::string& written);

}  // namespace graft::datasets
