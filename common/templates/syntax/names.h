#pragma once
/// What each name of a template stands for: variables get their slots, filters, tests and functions
/// their natives. Thread safety: free function.

#include "common/base/status.h"
#include "common/templates/syntax/ast.h"

namespace graft::templates {

/// Completes a parsed program.
/// Errors: InvalidArgument with line and column for a filter, test, function or method that there
/// isn't. One that nobody has is let through, as by jinja2, where it may never be reached (in an
/// `if`; a function or method also in a loop or macro); one that only this hasn't, nowhere.
Status BindNames(Program& program);

}  // namespace graft::templates
