#pragma once
/// A template's text as jinja2 reads it, and where in it something stands.

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/templates/limits.h"

namespace graft::templates {

/// `source` with all line ends made "\n" and one at its end cut off.
/// Errors: InvalidArgument if it isn't UTF-8 or too large.
StatusOr<std::string> NormalizedSource(std::string_view source, const Limits& limits);

/// "line 3, column 7" of a byte; columns count characters.
std::string Position(std::string_view source, size_t at);

/// InvalidArgument of the field "chat_template": "line 3, column 7: <what>".
Status SyntaxFailure(std::string_view source, size_t at, const std::string& what);

}  // namespace graft::templates
