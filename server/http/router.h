#pragma once
/// Which handler a request belongs to.
/// Thread safety: const after construction.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/calls/call.h"
#include "server/http/refusal.h"
#include "server/http/request.h"

namespace graft::server::http {

/// How a route's body is read.
enum class BodyForm {
  kNone,    ///< There is none.
  kJson,    ///< Whole, up to Limits::max_json_body; application/json.
  kStream,  ///< By Request::stream, of whatever type and size.
};

struct Route {
  std::string_view method;   ///< "GET", "POST", "PUT", "DELETE".
  std::string_view pattern;  ///< "/v1/models/{model}": a name in braces takes one segment.
  BodyForm body = BodyForm::kNone;
  const calls::CallOptions* options = nullptr;  ///< A row of the table of calls.
  Handler handler;
};

struct Match {
  const Route* route = nullptr;
  std::map<std::string, std::string> arguments;
};

class Router {
 public:
  /// Requires: no two routes of one method take the same path, but for a literal in front of a
  /// braced name; the literal wins, whatever the method: POST /jobs/estimate leaves no job of that
  /// name to GET.
  explicit Router(std::vector<Route> routes);

  /// A refusal is 404, or 405 with what the path takes. A HEAD is matched as GET.
  std::variant<Match, Refusal> Find(std::string_view method,
                                    const std::vector<std::string>& segments) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  const std::vector<Route> routes_;
  std::vector<std::vector<std::string>> patterns_;  ///< Of each route, its segments.
};

}  // namespace graft::server::http
