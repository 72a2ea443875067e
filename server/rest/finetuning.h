#pragma once
/// /v1/fine_tuning/jobs: jobs in OpenAI's form.

#include <vector>

#include "server/http/router.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// Appends create, list, retrieve, cancel, pause, resume, events, checkpoints. `services` outlives
/// them.
void AddFinetuningRoutes(service::Services& services, std::vector<http::Route>& routes);

}  // namespace graft::server::rest
