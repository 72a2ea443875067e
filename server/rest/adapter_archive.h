#pragma once
/// An adapter version's folder as a tar archive: out, and in.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

/// GET /v1/adapters/{adapter}/export, ?merged=true for the base with the adapter in it. `services`
/// outlives them.
http::Handler ExportHandler(service::Services& services);
/// POST /v1/adapters/{adapter}/import?base=..., the archive as the body. What the query may say are
/// the fields of ImportAdapterRequest.Header; label_names as a JSON list.
http::Handler ImportHandler(service::Services& services);

}  // namespace graft::server::rest
