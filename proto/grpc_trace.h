#pragma once
/// Traces in gRPC's metadata. Source: W3C Trace Context; OpenTelemetry has it so for gRPC too.

#include <map>

#include <grpcpp/client_context.h>
#include <grpcpp/support/string_ref.h>

#include "common/tracing/trace_context.h"

namespace graft::proto {

/// What a call's client sent; not valid if that was nothing, several, or malformed.
tracing::SpanContext TraceOf(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

/// Sends it with the call; nothing of one that isn't valid.
void AddTrace(const tracing::SpanContext& trace, grpc::ClientContext& context);

}  // namespace graft::proto
