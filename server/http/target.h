#pragma once
/// A request's target: the path as decoded segments, and the query.
/// Source: RFC 3986 sections 2.1 and 3.3; queries as HTML forms write them (+ is a space).
/// Thread safety: free functions.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::server::http {

struct Target {
  std::vector<std::string> segments;  ///< "/v1/models" is v1, models; "/" has none.
  std::map<std::string, std::string> query;
};

/// Requires: `text` begins with a slash.
/// Errors: InvalidArgument for a broken percent sign, a NUL, what isn't UTF-8, an empty segment, a
/// "." or "..", a fragment, a query's key that comes twice, more than 64 of them.
StatusOr<Target> ParseTarget(std::string_view text);

}  // namespace graft::server::http
