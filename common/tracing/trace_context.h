#pragma once
/// Where in a trace something happens, and how one process tells another.
/// Source: W3C Trace Context, level 1 (www.w3.org/TR/trace-context-1).

#include <string>
#include <string_view>

namespace graft::tracing {

/// What HTTP headers and gRPC metadata are called that carry a span's context.
inline constexpr const char* kTraceparent = "traceparent";
inline constexpr const char* kTracestate = "tracestate";

struct SpanContext {
  std::string trace_id = {};  ///< 32 lower-case hex digits; empty: in no trace.
  std::string span_id = {};   ///< 16 of them.
  bool is_sampled = false;    ///< Whoever made it records it.
  std::string state = {};  ///< What tracing systems add for themselves, to be passed on as it is.

  bool valid() const { return !trace_id.empty(); }
  friend bool operator==(const SpanContext&, const SpanContext&) = default;
};

/// Reads "00-TRACE-SPAN-FLAGS", also of later versions. Not valid if it is malformed: then the
/// trace begins anew, as the standard wants it. A `tracestate` that can't be passed on is left out.
SpanContext ParseTraceparent(std::string_view traceparent, std::string_view tracestate = {});
/// Empty of one that isn't valid.
std::string Traceparent(const SpanContext& context);

/// Random ones.
std::string NewTraceId();
std::string NewSpanId();
/// The span of what `name` names, for all who know the name.
std::string SpanIdOf(std::string_view name);

}  // namespace graft::tracing
