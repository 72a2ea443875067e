#include "server/app/trace_metrics.h"

namespace graft::server::app {

std::vector<prometheus::MetricFamily> TraceMetrics::Collect() const {
  const otlp::Exporter::Counts counts = tracing_.counts();
  prometheus::MetricFamily family{"graft_trace_spans_total",
                                  "Spans of traces by what became of them: sent to the collector, "
                                  "or dropped",
                                  prometheus::MetricType::Counter,
                                  {}};
  for (const auto& [result, count] :
       {std::pair("sent", counts.sent), {"dropped", counts.dropped}}) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = {{"result", result}};
    metric.counter.value = static_cast<double>(count);
  }
  return {family};
}

}  // namespace graft::server::app
