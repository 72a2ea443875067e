#pragma once
/// A span: something that took time, and below what it happened.
/// Source: OpenTelemetry's trace.proto (opentelemetry-proto 1.x), whose numbers these are.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/tracing/trace_context.h"

namespace graft::tracing {

/// Wall clock, nanoseconds since 1970 UTC.
using TimeNs = int64_t;

TimeNs Now();
constexpr TimeNs ToNs(TimeUs time) { return time * 1000; }

using Value = std::variant<std::string, int64_t, double, bool>;
struct Attribute {
  std::string name;
  Value value;
};

enum class SpanKind {
  kInternal = 1,
  kServer = 2,  ///< A call, where it is answered.
};

struct SpanEvent {
  TimeNs time = 0;
  std::string name;
};

struct Span {
  SpanContext context = {};    ///< Its own.
  std::string parent_id = {};  ///< Empty: its trace begins with it.
  std::string name = {};
  SpanKind kind = SpanKind::kInternal;
  TimeNs start = 0, end = 0;
  std::vector<Attribute> attributes = {};
  std::vector<SpanEvent> events = {};
  std::vector<SpanContext> links = {};  ///< Spans of other traces that it comes of.
  bool has_failed = false;
  std::string message = {};  ///< Why it failed.

  void Set(std::string_view attribute, Value value) {
    attributes.push_back({std::string(attribute), std::move(value)});
  }
  /// Failed, for this reason; of OK nothing.
  void Fail(const Status& status);
};

}  // namespace graft::tracing
