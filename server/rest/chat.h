#pragma once
/// POST /v1/chat/completions.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// `services` outlives it.
http::Handler ChatHandler(service::Services& services);

}  // namespace graft::server::rest
