#include "common/templates/syntax/source.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/templates/values/text.h"

namespace graft::templates {

StatusOr<std::string> NormalizedSource(std::string_view source, const Limits& limits) {
  const auto refuse = [](const std::string& what) {
    return InvalidArgumentError(what).At("chat_template", "TEMPLATE_SYNTAX");
  };
  if (source.size() > limits.max_template_bytes) {
    return refuse("the template has " + std::to_string(source.size()) + " bytes, the limit is " +
                  std::to_string(limits.max_template_bytes));
  }
  if (const size_t at = FirstInvalidUtf8(source); at != std::string_view::npos)
    return refuse("byte " + std::to_string(at) + " of the template isn't UTF-8");
  std::string text;
  text.reserve(source.size());
  for (size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '\r') {
      text += '\n';
      if (at + 1 < source.size() && source[at + 1] == '\n') ++at;
    } else {
      text += source[at];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string Position(std::string_view source, size_t at) {
  const std::string_view before = source.substr(0, at);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t begin = before.rfind('\n') + 1;  // 0 if there is none.
  return "the chat template's line " + std::to_string(line) + ", column " +
         std::to_string(NumCodes(before.substr(begin)) + 1);
}

Status SyntaxFailure(std::string_view source, size_t at, const std::string& what) {
  return InvalidArgumentError(Position(source, at) + ": " + what)
      .At("chat_template", "TEMPLATE_SYNTAX");
}

}  // namespace graft::templates
