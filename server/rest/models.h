#pragma once
/// /v1/models: what answers, by the names that clients use.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// All usable bases, and each adapter by its plain name (if it has a live version) and by its
/// newest version's. `services` outlives it.
http::Handler ListModelsHandler(service::Services& services);
http::Handler GetModelHandler(service::Services& services);
/// Of a version, "support@3"; refused for a base, and for a whole adapter.
http::Handler DeleteModelHandler(service::Services& services);

}  // namespace graft::server::rest
