#pragma once
/// Where spans go, by OpenTelemetry's own variables, so that a machine that has them set needs
/// nothing else. Source: OpenTelemetry specification, "Environment Variable Specification" and
/// "OpenTelemetry Protocol Exporter".

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/otlp/otlp_json.h"
#include "common/otlp/url.h"
#include "common/tracing/tracer.h"

namespace graft::otlp {

/// Reads one variable of the environment; returns nullptr if it isn't set.
using Environment = const char* (*)(const char* name);

struct Settings {
  Url url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::milliseconds timeout{10'000};  ///< Of one request; 0: no limit.
  std::string certificate;  ///< File of those that are trusted; empty: the system's.
  std::string client_certificate, client_key;
  Resource resource;
  tracing::Sampler sampler;
  size_t max_queue = 2048;                     ///< Spans that wait; others are dropped.
  size_t max_batch = 512;                      ///< Of one request.
  std::chrono::milliseconds delay{5'000};      ///< Until what waits is sent.
  std::chrono::milliseconds patience{30'000};  ///< How long one batch is tried.
  /// A sentence for each thing that was said and isn't done.
  std::vector<std::string> notes;  ///< What was said and isn't done, a sentence each.
};

/// Nothing if no collector is named, or tracing is switched off. `program`: "graft-server", the
/// service's name unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say another.
/// What can't be read is a note, and the default stands, as OpenTelemetry wants it: telemetry keeps
/// no program from its work. Errors: InvalidArgument, with the variable and what it may be, only
/// where nothing would ever arrive: the address, the protocol, headers and files that can't be
/// read.
StatusOr<std::optional<Settings>> ReadSettings(Environment environment, const std::string& program);

}  // namespace graft::otlp
