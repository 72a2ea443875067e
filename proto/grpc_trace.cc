#include "proto/grpc_trace.h"

#include <string>
#include <string_view>

namespace graft::proto {
namespace {

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

}  // namespace

tracing::SpanContext TraceOf(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  const auto [parent, end] = metadata.equal_range(tracing::kTraceparent);
  if (parent == end || std::next(parent) != end) return {};
  std::string state;
  const auto [first, last] = metadata.equal_range(tracing::kTracestate);
  for (auto it = first; it != last; ++it) tracing::AppendTracestate(View(it->second), state);
  return tracing::ParseTraceparent(View(parent->second), state);
}

void AddTrace(const tracing::SpanContext& trace, grpc::ClientContext& context) {
  if (!trace.valid()) return;
  context.AddMetadata(tracing::kTraceparent, tracing::Traceparent(trace));
  if (!trace.state.empty()) context.AddMetadata(tracing::kTracestate, trace.state);
}

}  // namespace graft::proto
