#pragma once
/// A run's spans, from what the engine tells of it: "train", and below it each evaluation and the
/// stretches of steps between them.

#include "common/report/report.h"
#include "common/tracing/tracer.h"

namespace graft::worker::agent {

/// Thread safety: confined to one thread at a time.
class TrainTrace {
 public:
  /// `lease`: what "train" is below; not valid: there are no spans.
  TrainTrace(const tracing::Tracer& tracer, tracing::SpanContext lease)
      : tracer_(tracer), lease_(std::move(lease)) {}

  void Started(const std::string& precision, int64_t first_step);
  void Progressed(const report::Progress& progress);
  void Evaluated(const report::Evaluation& evaluation);
  void Ended(const Status& status);

 private:
  /// Ends the stretch of steps that there is.
  void EndSteps();

  const tracing::Tracer tracer_;
  const tracing::SpanContext lease_;
  tracing::ActiveSpan train_;
  int64_t step_ = 0;               ///< The last that is in a span.
  tracing::TimeNs end_ = 0;        ///< Of what has a span.
  report::Progress last_;          ///< Of the stretch of steps that goes on, if any.
  tracing::TimeNs last_time_ = 0;  ///< When that came.
};

}  // namespace graft::worker::agent
