#pragma once
/// Conversations as OpenAI's chat form has them. Pure functions.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/json.h"

namespace graft::datasets {

struct ChatFault {
  std::string reason, message;
};

/// Checks the JSON of a conversation and writes it compactly to `written`, the keys in their order:
/// a list of objects with a role (system, developer, user, assistant or tool) and a content. The
/// content is a text, or a list of parts of text, which become one text with line breaks between
/// them; it may be absent beside tool_calls. A weight is 0 or 1. Fields that aren't named here stay
/// as they are, for templates may read them. The assistant speaks, and speaks last.
/// Reasons: BAD_JSON, WRONG_TYPE, MESSAGES_EMPTY, TOO_MANY_MESSAGES (10,000), BAD_ROLE,
/// CONTENT_MISSING, BAD_WEIGHT, BAD_TOOL_CALLS, NO_ASSISTANT, LAST_NOT_ASSISTANT; messages name the
/// place ("messages[2].role").
std::optional<ChatFault> CheckMessages(std::string_view json, std::string& written);

/// The same of a conversation's tools: a list of objects, each a function's JSON schema with a
/// name; null and an empty list are none, and nothing is written. Reasons: BAD_JSON, WRONG_TYPE,
/// BAD_TOOLS.
std::optional<ChatFault> CheckTools(std::string_view json, std::string& written);

}  // namespace graft::datasets
