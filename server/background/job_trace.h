#pragma once
/// A job's spans. Its trace is that of the call that made it: what becomes of the job later is
/// below that call, whoever does it. A lease's span has an id that follows from its job and token,
/// so that its worker can name it before it is over, and any server can tell of its end.

#include "common/logging/fields.h"
#include "common/tracing/tracer.h"
#include "server/core/rows.h"

namespace graft::server::background {

/// Of the call that made it; not valid: that was in no trace.
tracing::SpanContext TraceOf(const core::Job& job);
/// Of its newest lease, whose span `tracer` will record; of one that is off the job's own.
tracing::SpanContext LeaseTraceOf(const tracing::Tracer& tracer, const core::Job& job);

/// Tells how long it waited for a worker: until one got it, or it ended instead. Requires: it was
/// queued.
void RecordWait(const tracing::Tracer& tracer, const core::Job& job);
/// Tells of its newest lease, which has ended. Requires: an attempt, that has ended.
void RecordLease(const tracing::Tracer& tracer, const core::Job& job);

/// For lines of the log. Valid as long as `job` and `worker`.
logging::Fields About(const core::Job& job, std::string_view worker = {});

}  // namespace graft::server::background
