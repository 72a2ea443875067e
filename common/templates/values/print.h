#pragma once
/// Values as text: as Python prints them and as json.dumps writes them.

#include <optional>
#include <string>
#include <string_view>

#include "common/templates/values/value.h"

namespace graft::templates {

/// repr of a float.
std::string FloatText(double number);

/// Appends str(value): a text itself, nothing for an undefined value, and all else as repr has it.
/// Errors: Failure for what prints as an address (functions, iterators, namespaces, loops);
/// LimitFailure.
Status AppendText(Session& session, const Value& value, TextBuilder& out);
/// str(value) as a value. A text stays itself, safe if it was.
StatusOr<Value> AsText(Session& session, const Value& value);
/// Appends repr(value). Errors as above.
Status AppendRepr(Session& session, const Value& value, TextBuilder& out);

struct JsonStyle {
  bool ensure_ascii = false;
  std::optional<std::string> indent;  ///< Of one level; nothing for all in one line.
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
/// Appends json.dumps(value, ...). Errors: Failure for what JSON doesn't have; LimitFailure.
Status AppendJson(Session& session, const Value& value, const JsonStyle& style, TextBuilder& out);

/// format % arguments, as far as %s, %r, %d, %i and %% without width or precision go.
/// Requires: `format` is a text. Errors: Failure; LimitFailure.
StatusOr<Value> FormatPercent(Session& session, const Value& format, const Value& arguments);
/// format.format(...), as far as {}, {0} and {name} go.
/// Requires: `format` is a text. Errors: Failure; LimitFailure.
StatusOr<Value> FormatBraces(Session& session, const Value& format,
                             const std::vector<Value>& positional,
                             const std::vector<std::pair<std::string, Value>>& named);

}  // namespace graft::templates
