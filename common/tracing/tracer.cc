#include "common/tracing/tracer.h"

#include <charconv>
#include <cstdint>

namespace graft::tracing {

bool Sampler::Samples(const SpanContext& parent, std::string_view trace_id) const {
  if (follows_parent && parent.valid()) return parent.is_sampled;
  if (ratio >= 1) return true;
  // The id's last 56 bits are random wherever it comes from (Trace Context level 2,
  // section 3.2.2.3).
  const std::string_view random = trace_id.substr(trace_id.size() - 14);
  uint64_t bits = 0;
  std::from_chars(random.data(), random.data() + random.size(), bits, 16);
  return static_cast<double>(bits) < ratio * 0x1p56;
}

ActiveSpan& ActiveSpan::operator=(ActiveSpan&& other) noexcept {
  if (this == &other) return *this;
  End();
  context_ = std::move(other.context_);
  span_ = std::move(other.span_);
  sink_ = std::move(other.sink_);
  return *this;
}

void ActiveSpan::AddEvent(std::string_view name) {
  if (span_ != nullptr) span_->events.push_back({Now(), std::string(name)});
}

void ActiveSpan::AddLink(const SpanContext& other) {
  if (span_ != nullptr && other.valid()) span_->links.push_back(other);
}

void ActiveSpan::End() {
  if (span_ == nullptr) return;
  span_->end = Now();
  sink_->Take(std::move(*span_));
  span_.reset();
}

ActiveSpan Tracer::Start(std::string_view name, const SpanContext& parent, SpanKind kind) const {
  ActiveSpan active;
  active.context_ = parent;
  if (sink_ == nullptr) return active;
  SpanContext own = parent;
  if (!parent.valid()) own.trace_id = NewTraceId();
  own.is_sampled = sampler_.Samples(parent, own.trace_id);
  own.span_id = NewSpanId();
  active.context_ = own;
  if (!own.is_sampled) return active;
  active.span_ = std::make_unique<Span>();
  active.span_->context = own;
  active.span_->parent_id = parent.span_id;
  active.span_->name = name;
  active.span_->kind = kind;
  active.span_->start = Now();
  active.sink_ = sink_;
  return active;
}

ActiveSpan Tracer::StartBelow(std::string_view name, const SpanContext& parent,
                              SpanKind kind) const {
  return parent.valid() ? Start(name, parent, kind) : ActiveSpan();
}

void Tracer::Record(Span span, const SpanContext& parent) const {
  if (sink_ == nullptr || !parent.valid() || !parent.is_sampled) return;
  const std::string own = span.context.span_id;
  span.context = parent;
  span.context.span_id = own.empty() ? NewSpanId() : own;
  span.parent_id = parent.span_id;
  sink_->Take(std::move(span));
}

}  // namespace graft::tracing
