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
  kServer = 2,  ///< A call, where it is answered,
  kClient = 3,  ///< and where it is made.
};

struct SpanEvent {
  TimeNs time = 0;
  std::string name;
};

/// Of one span, as OpenTelemetry's own limits have it; what is more is counted.
inline constexpr size_t kMaxEvents = 128;

struct Span {
  SpanContext context = {};    ///< Its own.
  std::string parent_id = {};  ///< Empty: its trace begins with it.
  std::string name = {};
  SpanKind kind = SpanKind::kInternal;
  TimeNs start = 0, end = 0;
  std::vector<Attribute> attributes = {};
  std::vector<SpanEvent> events = {};
  int64_t dropped_events = 0;
  std::vector<SpanContext> links = {};  ///< Spans of other traces that it comes of.
  bool has_failed = false;
  std::string message = {};  ///< Why it failed.

  /// In place of what the attribute was.
  void Set(std::string_view attribute, Value value);
  void AddEvent(TimeNs time, std::string_view name);
  void AddLink(const SpanContext& other);  ///< Once.
  /// Failed, for this reason; of OK nothing.
  void Fail(const Status& status);
};

/// Whether a call that ended so failed by what answered it, rather than by its caller.
/// Source: OpenTelemetry's semantic conventions for gRPC, "gRPC Status" of servers.
bool IsServersFault(StatusCode code);

}  // namespace graft::tracing
