#pragma once
/// Whether a body uses the special names that jinja2 makes only where they are used.
/// Thread safety: free functions.

#include <string_view>

#include "common/templates/syntax/ast.h"

namespace graft::templates {

/// True if `name` is read in `block`, at any depth, and nothing before that assigns it.
bool Uses(const Block& block, std::string_view name);

}  // namespace graft::templates
