#pragma once
/// How many spans of traces reached their collector.

#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include "common/otlp/tracing.h"

namespace graft::server::app {

/// Looks at each scrape. Thread safety: thread-safe.
class TraceMetrics : public prometheus::Collectable {
 public:
  explicit TraceMetrics(otlp::Tracing tracing) : tracing_(std::move(tracing)) {}

  /// graft_trace_spans_total{result="sent"|"dropped"}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const otlp::Tracing tracing_;
};

}  // namespace graft::server::app
