#include "server/http/head.h"

#include <algorithm>

#include <fmt/format.h>

namespace graft::server::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Scan Refused(int status, std::string message, std::string code) {
  Scan scan;
  scan.result = Scan::Result::kRefused;
  scan.refusal = {status, std::move(message), std::move(code), {}};
  return scan;
}

Scan Malformed(std::string_view what) {
  return Refused(400, fmt::format("this is no HTTP request: {}", what), "malformed_request");
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// The line that a text begins with.
struct Line {
  bool is_whole = false;
  size_t size = 0;  ///< So far, without its end or what is wrong with it.
  const char* fault = nullptr;
};

Line NextLine(std::string_view text) {
  Line line;
  for (; line.size < text.size(); ++line.size) {
    const char c = text[line.size];
    if (c == '\r') {
      const std::string_view end = text.substr(line.size, 2);
      line.is_whole = end == "\r\n";
      if (end.size() == 2 && !line.is_whole) line.fault = "a CR without LF";
      return line;
    }
    if (c == '\n') line.fault = "a line that ends without CR";
    if (c != '\n' && IsControl(c)) line.fault = "a control character in its head";
    if (line.fault != nullptr) return line;
  }
  return line;
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Refusal Bad(std::string message) { return {400, std::move(message), "malformed_request", {}}; }

/// Where the body ends must have one answer.
std::optional<Refusal> CheckFraming(const Head& head) {
  const size_t lengths = head.Count("content-length");
  const size_t encodings = head.Count("transfer-encoding");
  if (lengths > 1) return Bad("the request has more than one Content-Length");
  if (lengths == 1 &&
      (!IsDigits(head.Find("content-length")) || head.Find("content-length").size() > 18))
    return Bad("Content-Length is no number of bytes");
  if (encodings == 0) return std::nullopt;
  if (encodings > 1 || !SameWord(head.Find("transfer-encoding"), "chunked"))
    return Bad("the only Transfer-Encoding that is read is chunked, said once");
  if (head.version != 11) return Bad("HTTP/1.0 has no Transfer-Encoding");
  if (lengths != 0) return Bad("a request has a Content-Length or a Transfer-Encoding, not both");
  return std::nullopt;
}

}  // namespace

bool SameWord(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (SameWord(Trimmed(list.substr(0, comma)), word)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Scan ScanHead(std::string_view bytes) {
  Scan scan;
  // RFC 9112 section 2.2: old clients send an empty line behind a body.
  if (bytes.starts_with("\r\n")) scan.skip = 2;
  // What stands behind the limit has no say, however much came at once.
  const std::string_view head = bytes.substr(scan.skip, kMaxHeadBytes);
  size_t at = 0;
  for (bool is_first = true;; is_first = false) {
    const std::string_view rest = head.substr(at);
    if (!is_first && !rest.empty() && (rest[0] == ' ' || rest[0] == '\t'))
      return Malformed("a folded line in its head");
    const Line line = NextLine(rest);
    if (is_first && line.size > kMaxTargetBytes)
      return Refused(414, "the request's target is too long", "uri_too_long");
    if (line.fault != nullptr) return Malformed(line.fault);
    if (!line.is_whole && head.size() < kMaxHeadBytes) return scan;
    if (!line.is_whole)
      return Refused(431, fmt::format("a request's head may have up to {} bytes", kMaxHeadBytes),
                     "header_too_large");
    at += line.size + 2;
    if (line.size > 0) continue;
    if (is_first) return Malformed("its first line is empty");
    scan.result = Scan::Result::kWhole;
    scan.size = at;
    return scan;
  }
}

std::string_view Head::Find(std::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (SameWord(field, name)) return value;
  }
  return {};
}

size_t Head::Count(std::string_view name) const {
  return static_cast<size_t>(std::ranges::count_if(
      fields, [&](const auto& field) { return SameWord(field.first, name); }));
}

bool Head::Says(std::string_view name, std::string_view word) const {
  return std::ranges::any_of(fields, [&](const auto& field) {
    return SameWord(field.first, name) && HasWord(field.second, word);
  });
}

std::optional<Refusal> CheckHead(const Head& head) {
  if (head.version != 10 && head.version != 11)
    return Refusal{505, "graft speaks HTTP/1.1", "http_version_not_supported", {}};
  if (head.fields.size() > kMaxFields)
    return Refusal{431,
                   fmt::format("a request may have up to {} header fields", kMaxFields),
                   "header_too_large",
                   {}};
  if (head.Count("host") != 1) return Bad("a request names exactly one Host");
  if (!head.target.starts_with('/'))
    return Bad("the request's target must be a path that begins with a slash");
  if (std::optional<Refusal> refusal = CheckFraming(head)) return refusal;
  if (head.Count("expect") > 0 &&
      (head.Count("expect") > 1 || !SameWord(head.Find("expect"), "100-continue")))
    return Refusal{
        417, "the only expectation that graft meets is 100-continue", "expectation_failed", {}};
  if (head.Says("connection", "upgrade") && head.Says("upgrade", "websocket"))
    return Bad("there are no web sockets here; streams are server-sent events");
  return std::nullopt;
}

}  // namespace graft::server::http
