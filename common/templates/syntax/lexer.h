#pragma once
/// Splits a template into text and the tokens of its tags, as jinja2 does with trim_blocks and
/// lstrip_blocks. Thread safety: free functions.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::templates {

struct Token {
  enum class Kind {
    kText,            ///< Between tags, white space control applied.
    kPrintBegin,      ///< {{
    kPrintEnd,        ///< }}
    kStatementBegin,  ///< {%
    kStatementEnd,    ///< %}
    kName,
    kString,  ///< `text` is what it says, escapes resolved.
    kInteger,
    kFloat,
    kOperator,  ///< `text` is its sign.
    kEnd        ///< The last token, and only that.
  };
  Kind kind = Kind::kEnd;
  size_t at = 0;  ///< Its first byte in the source.
  std::string text;
  int64_t integer = 0;
  double real = 0;

  bool Is(Kind what, std::string_view word) const { return kind == what && text == word; }
  bool IsName(std::string_view word) const { return Is(Kind::kName, word); }
  bool IsOperator(std::string_view sign) const { return Is(Kind::kOperator, sign); }
};

/// Requires: `source` is normalized. Errors: InvalidArgument with line and column.
/// Source: jinja2 3.1's documentation, "Whitespace Control" and "Literals".
StatusOr<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace graft::templates
