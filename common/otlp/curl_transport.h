#pragma once
/// A collector over HTTP or HTTPS, by libcurl.

#include <memory>

#include "common/otlp/settings.h"
#include "common/otlp/transport.h"

namespace graft::otlp {

/// Proxies are those of the usual variables (curl's http_proxy, no_proxy, ...). Keeps its
/// connection. Errors: Internal if libcurl can't be started.
StatusOr<std::unique_ptr<Transport>> MakeCurlTransport(const Settings& settings);

}  // namespace graft::otlp
