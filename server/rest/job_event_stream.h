#pragma once
/// GET /v1/jobs/{job}/events: a job's events as they come, as server-sent events whose ids are
/// their numbers. A client that lost the connection goes on behind the last one that it saw.
/// Source: the HTML standard, "Server-sent events".

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// Ends behind the event that ended the job; a client that has seen that one is told 204, at which
/// a browser stops asking. `services` outlives it.
http::Handler JobEventsHandler(service::Services& services);

}  // namespace graft::server::rest
