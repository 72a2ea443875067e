#pragma once
/// A dataset as a request's whole body.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// POST /v1/datasets?file_name=..., the file as the body. `services` outlives it.
http::Handler UploadHandler(service::Services& services);

}  // namespace graft::server::rest
