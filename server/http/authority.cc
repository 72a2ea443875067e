#include "server/http/authority.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "common/base/utf8.h"

namespace graft::server::http {
namespace {

bool IsHostCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

bool IsAddressCharacter(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
}

/// 127.0.0.1 and its like, written as four numbers: 127.evil.com is a name.
bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 && host.size() <= 15 &&
         std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

}  // namespace

std::optional<Authority> ParseAuthority(std::string_view text) {
  Authority authority;
  std::string_view rest = text;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    authority.host = AsciiLower(rest.substr(1, end - 1));
    if (!std::ranges::all_of(authority.host, IsAddressCharacter)) return std::nullopt;
    rest.remove_prefix(end + 1);
  } else {
    const size_t end = std::min(rest.find(':'), rest.size());
    authority.host = AsciiLower(rest.substr(0, end));
    if (!std::ranges::all_of(authority.host, IsHostCharacter)) return std::nullopt;
    rest.remove_prefix(end);
  }
  if (authority.host.empty()) return std::nullopt;
  if (rest.empty()) return authority;
  authority.port = rest.substr(1);
  const bool is_port =
      rest.front() == ':' && !authority.port.empty() && authority.port.size() <= 5 &&
      std::ranges::all_of(authority.port, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_port) return std::nullopt;
  return authority;
}

Authorities::Authorities(std::vector<std::string> names) : names_(std::move(names)) {
  for (std::string& name : names_) name = AsciiLower(name);
}

bool Authorities::IsNamed(std::string_view text) const {
  const std::string authority = AsciiLower(text);
  const std::optional<Authority> parsed = ParseAuthority(text);
  return std::ranges::any_of(names_, [&](const std::string& name) {
    return name == authority || (parsed && name == parsed->host);
  });
}

std::optional<Refusal> Authorities::Check(std::string_view host,
                                          std::optional<std::string_view> origin,
                                          std::string_view local) const {
  const std::optional<Authority> called = ParseAuthority(host);
  if (!called) return Refusal{400, "Host is no name with a port", "malformed_request", {}};
  if (!IsLoopback(called->host) && called->host != local && !IsNamed(host)) {
    return Refusal{403,
                   fmt::format("this server isn't known as {}; behind a proxy, say --http-hosts {}",
                               called->host, called->host),
                   "host_not_allowed",
                   {}};
  }
  if (!origin) return std::nullopt;
  std::string_view site = *origin;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (site.starts_with(scheme)) {
      site.remove_prefix(scheme.size());
      if (AsciiLower(site) == AsciiLower(host) || IsNamed(site)) return std::nullopt;
    }
  }
  return Refusal{403,
                 "pages of other sites may not call this server; --http-hosts names those that may",
                 "origin_not_allowed",
                 {}};
}

}  // namespace graft::server::http
