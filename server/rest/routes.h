#pragma once
/// All that the HTTP API has: OpenAI's paths, graft's own, and what looks after the server.

#include <functional>
#include <vector>

#include "server/http/router.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// `services` outlives them; `is_ready` tells, on the io thread, whether jobs and requests are
/// taken.
std::vector<http::Route> MakeRoutes(service::Services& services, std::function<bool()> is_ready);

}  // namespace graft::server::rest
