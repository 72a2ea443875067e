#pragma once
/// Text with one thing in place of another.

#include <string>
#include <string_view>

namespace graft::tokenizers {

/// `text` with `to` in place of each `from`, from left to right. Requires: `from` isn't empty.
inline std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, begin)) {
    out.append(text.substr(begin, at - begin)).append(to);
    begin = at + from.size();
  }
  return out.append(text.substr(begin));
}

}  // namespace graft::tokenizers
