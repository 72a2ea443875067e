#include "common/otlp/name_values.h"

#include <charconv>

#include "common/base/utf8.h"

namespace graft::otlp {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

StatusOr<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    int byte = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2 || digits[0] == '-')
      return InvalidArgumentError("a % isn't followed by two hex digits in " + Quoted(text));
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

}  // namespace

StatusOr<std::vector<std::pair<std::string, std::string>>> ParseNameValues(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> list;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view entry = Trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (entry.empty()) continue;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos || Trim(entry.substr(0, equals)).empty())
      return InvalidArgumentError(Quoted(entry) + " isn't NAME=VALUE");
    GRAFT_ASSIGN_OR_RETURN(std::string name, Decode(Trim(entry.substr(0, equals))));
    GRAFT_ASSIGN_OR_RETURN(std::string value, Decode(Trim(entry.substr(equals + 1))));
    list.emplace_back(std::move(name), std::move(value));
  }
  return list;
}

}  // namespace graft::otlp
