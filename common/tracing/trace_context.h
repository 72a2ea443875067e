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
/// trace begins anew, as the standard wants it. Of `tracestate` those entries are kept that can be
/// passed on, from the first, up to 512 characters.
SpanContext ParseTraceparent(std::string_view traceparent, std::string_view tracestate = {});
/// Empty of one that isn't valid.
std::string Traceparent(const SpanContext& context);

/// The ids in what Traceparent wrote; empty of an empty one.
std::string_view TraceIdIn(std::string_view traceparent);
std::string_view SpanIdIn(std::string_view traceparent);

/// Several headers of that name are one list (section 3.3.1.1).
void AppendTracestate(std::string_view more, std::string& state);

/// Random ones.
std::string NewTraceId();
std::string NewSpanId();
/// The span of what `name` names, for all who know the name.
std::string SpanIdOf(std::string_view name);

}  // namespace graft::tracing
