#pragma once
/// GET /v1/models and /v1/models/{model}; DELETE of a version or an adapter.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// All usable bases, and each adapter by its plain name (if it has a live version) and by its
/// newest version's. `services` outlives it.
http::Handler ListModelsHandler(service::Services& services);
http::Handler GetModelHandler(service::Services& services);

}  // namespace graft::server::rest
