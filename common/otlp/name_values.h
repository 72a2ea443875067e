#pragma once
/// Lists of names and values in OpenTelemetry's variables: "a=1,b=two%20words".
/// Source: W3C Baggage, which OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS follow.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace graft::otlp {

/// Errors: InvalidArgument if an entry has no name or no "=", or a % without two hex digits.
StatusOr<std::vector<std::pair<std::string, std::string>>> ParseNameValues(std::string_view text);

}  // namespace graft::otlp
