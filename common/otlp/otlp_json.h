#pragma once
/// Spans as a collector reads them.
/// Source: OTLP 1.x, "JSON Protobuf Encoding": ids in hex, 64-bit numbers as strings, enums as
/// numbers; opentelemetry-proto's collector/trace/v1/trace_service.proto.

#include <string>
#include <vector>

#include "common/tracing/span.h"

namespace graft::otlp {

/// What made the spans: the process.
using Resource = std::vector<tracing::Attribute>;
// A name stands there once.
void Set(Resource& resource, const std::string& name, const tracing::Value& value);
void SetIfAbsent(Resource& resource, const std::string& name, const tracing::Value& value);

/// An ExportTraceServiceRequest. Bytes that aren't UTF-8 become U+FFFD.
std::string ToOtlpJson(const Resource& resource, const std::vector<tracing::Span>& spans);

/// Of an ExportTraceServiceResponse: how many spans the collector refused, and why.
struct Refused {
  int64_t spans = 0;
  std::string why;
};
/// Nothing of what can't be read: the status was that of a success.
Refused RefusedOf(const std::string& answer);

}  // namespace graft::otlp
