#pragma once
/// The console: pages and modules that use the public HTTP API and nothing else.

#include <vector>

#include "server/http/router.h"

namespace graft::server::rest {

/// Appends / and /console/{file}. Pages may load what this server has, and be framed by nobody.
void AddConsoleRoutes(std::vector<http::Route>& routes);

}  // namespace graft::server::rest
