#include "server/http/router.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace graft::server::http {
namespace {

std::vector<std::string> Split(std::string_view pattern) {
  std::vector<std::string> segments;
  while (pattern.size() > 1) {
    pattern.remove_prefix(1);
    const size_t slash = std::min(pattern.find('/'), pattern.size());
    segments.emplace_back(pattern.substr(0, slash));
    pattern.remove_prefix(slash);
  }
  return segments;
}

bool IsName(const std::string& segment) { return segment.starts_with('{'); }

/// The braced names' values; `literals` counts what matched word by word.
std::optional<std::map<std::string, std::string>> Take(const std::vector<std::string>& pattern,
                                                       const std::vector<std::string>& segments,
                                                       size_t& literals) {
  if (pattern.size() != segments.size()) return std::nullopt;
  std::map<std::string, std::string> arguments;
  literals = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (IsName(pattern[i])) {
      arguments.emplace(pattern[i].substr(1, pattern[i].size() - 2), segments[i]);
    } else if (pattern[i] == segments[i]) {
      ++literals;
    } else {
      return std::nullopt;
    }
  }
  return arguments;
}

}  // namespace

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (const Route& route : routes_) patterns_.push_back(Split(route.pattern));
}

std::variant<Match, Refusal> Router::Find(std::string_view method,
                                          const std::vector<std::string>& segments) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  Match best;
  size_t most = 0;
  std::set<std::string> allowed;
  for (size_t i = 0; i < routes_.size(); ++i) {
    size_t literals = 0;
    auto arguments = Take(patterns_[i], segments, literals);
    if (!arguments || (!allowed.empty() && literals < most)) continue;
    if (literals > most) {
      best = {};
      allowed.clear();
    }
    most = literals;
    allowed.emplace(routes_[i].method);
    if (routes_[i].method == wanted) best = {&routes_[i], std::move(*arguments)};
  }
  if (best.route != nullptr) return best;
  if (allowed.empty())
    return Refusal{404,
                   "there is nothing at this address; GET /openapi.json tells what there is",
                   "unknown_url",
                   {}};
  if (allowed.contains("GET")) allowed.insert("HEAD");
  std::string list;
  for (const std::string& one : allowed) list += (list.empty() ? "" : ", ") + one;
  return Refusal{405, fmt::format("this address takes {}", list), "method_not_allowed", list};
}

}  // namespace graft::server::http
