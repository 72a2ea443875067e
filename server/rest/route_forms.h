#pragma once
/// Routes by their verbs.

#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "server/calls/call.h"
#include "server/http/router.h"

namespace graft::server::rest {

// `pattern` is a literal; `options` one of service/call_table.h.
inline http::Route Get(std::string_view pattern, const calls::CallOptions& options,
                       http::Handler handler) {
  return {"GET", pattern, http::BodyForm::kNone, &options, std::move(handler)};
}
inline http::Route Post(std::string_view pattern, const calls::CallOptions& options,
                        http::Handler handler) {
  return {"POST", pattern, http::BodyForm::kJson, &options, std::move(handler)};
}
inline http::Route Put(std::string_view pattern, const calls::CallOptions& options,
                       http::Handler handler) {
  return {"PUT", pattern, http::BodyForm::kJson, &options, std::move(handler)};
}
inline http::Route Receive(std::string_view pattern, const calls::CallOptions& options,
                           http::Handler handler) {
  return {"POST", pattern, http::BodyForm::kStream, &options, std::move(handler)};
}
inline http::Route Delete(std::string_view pattern, const calls::CallOptions& options,
                          http::Handler handler) {
  return {"DELETE", pattern, http::BodyForm::kNone, &options, std::move(handler)};
}

/// Appends `more`.
inline void Add(std::vector<http::Route> more, std::vector<http::Route>& routes) {
  std::move(more.begin(), more.end(), std::back_inserter(routes));
}

}  // namespace graft::server::rest
