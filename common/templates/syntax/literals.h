#pragma once
/// The strings and numbers that stand in a template's tags.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::templates {

/// What the inside of a quoted string says.
/// Errors: InvalidArgument, without a position, for an escape that is broken, names a character
/// (\N{...}) or makes a half of a surrogate pair.
StatusOr<std::string> Unescaped(std::string_view inside);

/// The digits of a number at the front of `text`, underscores between them included; 0 if there
/// are none. `is_float` says which kind they are of.
size_t NumberBytes(std::string_view text, bool may_be_float, bool* is_float);

/// Errors: InvalidArgument if it doesn't fit in 64 bits. Requires: NumberBytes took all of it.
StatusOr<int64_t> IntegerOf(std::string_view digits);
double FloatOf(std::string_view digits);

}  // namespace graft::templates
