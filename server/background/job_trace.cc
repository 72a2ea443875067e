#include "server/background/job_trace.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "common/base/status.h"

namespace graft::server::background {
namespace {

using core::Attempt;

bool IsFault(const std::string& end_reason) {
  constexpr std::array kFaults = {"ERROR", "RETRY", "WORKER_DIED", "LEASE_EXPIRED", "STALLED"};
  return std::ranges::find(kFaults, end_reason) != kFaults.end();
}

tracing::Span SpanOf(std::string name, const core::Job& job) {
  tracing::Span span;
  span.name = std::move(name);
  span.Set("graft.job", job.key.id);
  if (!job.attempts.empty()) span.Set("graft.attempt", int64_t{job.attempts.back().number});
  return span;
}

}  // namespace

tracing::SpanContext TraceOf(const core::Job& job) {
  return tracing::ParseTraceparent(job.traceparent, job.tracestate);
}

tracing::SpanContext LeaseTraceOf(const tracing::Tracer& tracer, const core::Job& job) {
  tracing::SpanContext trace = TraceOf(job);
  if (trace.valid() && tracer.is_on())
    trace.span_id = tracing::SpanIdOf("lease/" + job.key.tenant + "/" + job.key.id + "/" +
                                      std::to_string(job.lease.token));
  return trace;
}

void RecordWait(const tracing::Tracer& tracer, const core::Job& job) {
  tracing::Span span = SpanOf("wait for a worker", job);
  span.start = tracing::ToNs(job.queue_time);
  span.end =
      tracing::ToNs(core::IsTerminal(job.state) ? job.end_time : job.attempts.back().start_time);
  span.Set("graft.state", std::string(core::JobStateName(job.state)));
  if (job.error) span.Fail(Status(job.error->code, job.error->message));
  tracer.Record(std::move(span), TraceOf(job));
}

void RecordLease(const tracing::Tracer& tracer, const core::Job& job) {
  const Attempt& attempt = job.attempts.back();
  tracing::Span span = SpanOf("lease", job);
  span.context.span_id = LeaseTraceOf(tracer, job).span_id;
  span.start = tracing::ToNs(attempt.start_time);
  span.end = tracing::ToNs(attempt.end_time);
  span.Set("graft.worker", attempt.worker);
  span.Set("graft.end_reason", attempt.end_reason);
  span.Set("graft.first_step", attempt.first_step);
  span.Set("graft.last_step", attempt.last_step);
  if (IsFault(attempt.end_reason))
    span.Fail(
        UnavailableError(attempt.end_message.empty() ? attempt.end_reason : attempt.end_message));
  tracer.Record(std::move(span), TraceOf(job));
}

logging::Fields About(const core::Job& job, std::string_view worker) {
  return {.job = job.key.id,
          .worker = worker,
          .trace_id = tracing::TraceIdIn(job.traceparent),
          .span_id = tracing::SpanIdIn(job.traceparent)};
}

}  // namespace graft::server::background
