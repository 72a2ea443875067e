#include "server/http/head_parser.h"

#include <algorithm>
#include <string>

namespace graft::server::http {
namespace {

namespace bhttp = boost::beast::http;

/// Whether a request's line ends with a version, though another than 1.0 and 1.1.
bool SaysVersion(std::string_view line) {
  const std::string_view last = line.substr(line.rfind(' ') + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::ranges::count(line, ' ') == 2 && last.size() == 8 && last.starts_with("HTTP/") &&
         is_digit(last[5]) && last[6] == '.' && is_digit(last[7]);
}

}  // namespace

Refusal MalformedRequest(const std::string& what) {
  return {400, "this is no HTTP request: " + what, "malformed_request", {}};
}

std::variant<Head, Refusal> ParseHead(std::string_view bytes, RequestParser& parser) {
  parser.header_limit(static_cast<uint32_t>(kMaxHeadBytes + 1));
  parser.body_limit(boost::none);  // Those who read it count.
  parser.eager(false);
  boost::beast::error_code error;
  const size_t used = parser.put(boost::asio::buffer(bytes), error);
  if (error == bhttp::error::bad_version && SaysVersion(bytes.substr(0, bytes.find("\r\n"))))
    return Refusal{505, "graft speaks HTTP/1.1", "http_version_not_supported", {}};
  if (error && error != bhttp::error::need_more) return MalformedRequest(error.message());
  if (!parser.is_header_done() || used != bytes.size())
    return MalformedRequest(bhttp::make_error_code(bhttp::error::bad_field).message());
  const auto& message = parser.get();
  Head head;
  head.method = std::string(message.method_string());
  head.target = std::string(message.target());
  head.version = static_cast<int>(message.version());
  for (const auto& field : message)
    head.fields.emplace_back(std::string(field.name_string()), std::string(field.value()));
  return head;
}

}  // namespace graft::server::http
