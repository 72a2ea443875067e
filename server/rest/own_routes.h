#pragma once
/// graft's own part of the HTTP API: the services' methods by address, in protobuf's JSON form.

#include <vector>

#include "server/http/router.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// Appends them. `services` outlives them.
void AddOwnRoutes(service::Services& services, std::vector<http::Route>& routes);

}  // namespace graft::server::rest
