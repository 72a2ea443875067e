#include "server/http/target.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "common/base/utf8.h"

namespace graft::server::http {
namespace {

constexpr size_t kMaxParameters = 64;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

StatusOr<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) {
      c = ' ';
    } else if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return InvalidArgumentError("behind a % in the target come two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return InvalidArgumentError("the target has a NUL");
    decoded.push_back(c);
  }
  if (FirstInvalidUtf8(decoded) != std::string::npos)
    return InvalidArgumentError("the target isn't UTF-8");
  return decoded;
}

Status ReadPath(std::string_view path, Target& target) {
  path.remove_prefix(1);
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    GRAFT_ASSIGN_OR_RETURN(std::string segment, Decode(path.substr(0, slash), false));
    if (segment.empty() || segment == "." || segment == "..")
      return InvalidArgumentError("the path has an empty segment or one of dots alone");
    target.segments.push_back(std::move(segment));
    if (slash + 1 == path.size()) return InvalidArgumentError("the path ends with a slash");
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return OkStatus();
}

Status ReadQuery(std::string_view query, Target& target) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    GRAFT_ASSIGN_OR_RETURN(std::string key, Decode(pair.substr(0, equals), true));
    GRAFT_ASSIGN_OR_RETURN(std::string value,
                           Decode(pair.substr(std::min(equals + 1, pair.size())), true));
    if (!target.query.emplace(key, std::move(value)).second)
      return InvalidArgumentError(fmt::format("the query has {} twice", key)).At(key);
    if (target.query.size() > kMaxParameters)
      return InvalidArgumentError("the query has too many parameters");
  }
  return OkStatus();
}

}  // namespace

StatusOr<Target> ParseTarget(std::string_view text) {
  if (text.find('#') != std::string_view::npos)
    return InvalidArgumentError("a request's target has no fragment (#)");
  Target target;
  const size_t question = std::min(text.find('?'), text.size());
  GRAFT_RETURN_IF_ERROR(ReadPath(text.substr(0, question), target));
  GRAFT_RETURN_IF_ERROR(ReadQuery(text.substr(std::min(question + 1, text.size())), target));
  return target;
}

}  // namespace graft::server::http
