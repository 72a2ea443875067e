#pragma once
/// /v1/models: what answers, by the names that clients use.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// All usable bases, and each adapter by its plain name (if it has a live version) and by its
/// newest version's. `services` outlives it.
http::Handler ListModelsHandler(service::Services& services);
http::Handler GetModelHandler(service::Services& services);
/// "support@3" is a version, "support" the whole adapter; a base can't be deleted.
http::Handler DeleteModelHandler(service::Services& services);

}  // namespace graft::server::rest
