#pragma once
/// What a template can't read of what it is given, because nothing in its source names it: said,
/// it would change nothing. Thread safety: free functions.

#include <string>
#include <vector>

#include "common/base/json.h"
#include "common/templates/chat_template.h"

namespace graft::templates {

/// Parts of a conversation that templates read or don't: "tools", "messages.tool_calls",
/// "messages.reasoning_content".
using Parts = std::vector<std::string>;

/// Those of the parts above that the template doesn't name. One that writes messages whole (tojson,
/// items) is taken to read all of them.
Parts UnreadParts(const ChatTemplate& chat_template);

/// Those of `parts` that the conversation has.
Parts PartsOf(const Conversation& conversation, const Parts& parts);

/// "variables.NAME", for each that the template doesn't name.
std::vector<std::string> UnreadVariables(const ChatTemplate& chat_template,
                                         const OrderedJson& variables);

}  // namespace graft::templates
