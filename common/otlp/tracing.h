#pragma once
/// A process' tracing, as its environment says.

#include <memory>
#include <string>

#include "common/otlp/exporter.h"
#include "common/otlp/settings.h"
#include "common/tracing/tracer.h"

namespace graft::otlp {

/// Off, unless a collector is named: then `exporter` is set.
struct Tracing {
  tracing::Tracer tracer;
  std::shared_ptr<Exporter> exporter;

  Exporter::Counts counts() const { return exporter ? exporter->counts() : Exporter::Counts(); }
  /// Sends what is left, for as long as `at_most`. Idempotent.
  void Stop(std::chrono::milliseconds at_most) const {
    if (exporter) exporter->Stop(at_most);
  }
};

/// `program`: "graft-server"; `instance` tells several of them apart.
/// Errors: as ReadSettings and MakeCurlTransport.
StatusOr<Tracing> StartTracing(Environment environment, const std::string& program,
                               const std::string& instance);

}  // namespace graft::otlp
