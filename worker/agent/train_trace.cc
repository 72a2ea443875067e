#include "worker/agent/train_trace.h"

#include <algorithm>
#include <utility>

namespace graft::worker::agent {
namespace {

/// A run that evaluates seldom is seen all the same.
constexpr tracing::TimeNs kLongestStretch = 60'000'000'000;

}  // namespace

void TrainTrace::Started(const std::string& precision, int64_t first_step) {
  train_ = tracer_.StartBelow("train", lease_);
  train_.Set("graft.precision", precision);
  train_.Set("graft.first_step", first_step);
  step_ = first_step;
  end_ = tracing::Now();
}

void TrainTrace::Progressed(const report::Progress& progress) {
  last_ = progress;
  last_time_ = tracing::Now();
  if (last_time_ - end_ >= kLongestStretch) EndSteps();
}

void TrainTrace::EndSteps() {
  if (last_.step <= step_) return;
  tracing::Span span;
  span.name = "steps";
  span.start = end_;
  span.end = last_time_;
  span.Set("graft.first_step", step_ + 1);
  span.Set("graft.last_step", last_.step);
  span.Set("graft.loss", last_.loss);
  span.Set("graft.tokens_per_second", last_.tokens_per_second);
  tracer_.Record(std::move(span), train_.context());
  step_ = last_.step;
  end_ = last_time_;
}

void TrainTrace::Evaluated(const report::Evaluation& evaluation) {
  // Not every step is told of; this one was taken.
  if (evaluation.step > last_.step) {
    last_.step = evaluation.step;
    last_time_ = std::max(last_time_, end_);
  }
  EndSteps();
  tracing::Span span;
  span.name = "evaluate";
  span.start = end_;
  span.end = tracing::Now();
  span.Set("graft.step", evaluation.step);
  span.Set("graft.split", evaluation.split);
  span.Set("graft.loss", evaluation.loss);
  end_ = span.end;
  tracer_.Record(std::move(span), train_.context());
}

void TrainTrace::Ended(const Status& status) {
  EndSteps();
  train_.Fail(status);
  train_.End();
}

}  // namespace graft::worker::agent
