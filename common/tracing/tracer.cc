#include "common/tracing/tracer.h"

#include <charconv>
#include <cstdint>

#include "common/base/guard.h"

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
  if (span_ != nullptr) span_->AddEvent(Now(), name);
}

void ActiveSpan::AddLink(const SpanContext& other) {
  if (span_ != nullptr && other.valid()) span_->AddLink(other);
}

ActiveSpan ActiveSpan::StartChild(std::string_view name, SpanKind kind) const {
  ActiveSpan child;
  child.context_ = context_;
  if (span_ == nullptr) return child;
  child.context_.span_id = NewSpanId();
  child.Begin(name, kind, context_, sink_);
  return child;
}

void ActiveSpan::Begin(std::string_view name, SpanKind kind, const SpanContext& parent,
                       std::shared_ptr<SpanSink> sink) {
  span_ = std::make_unique<Span>();
  span_->context = context_;
  span_->parent_id = parent.span_id;
  span_->name = name;
  span_->kind = kind;
  span_->start = Now();
  sink_ = std::move(sink);
}

void ActiveSpan::End() noexcept {
  if (span_ == nullptr) return;
  const std::unique_ptr<Span> span = std::move(span_);
  span->end = Now();
  static_cast<void>(Contained([&] { sink_->Take(std::move(*span)); }));
}

void ActiveSpan::EndWith(const Status& status) noexcept {
  if (span_ == nullptr) return;
  static_cast<void>(Contained([&] {
    Set("graft.status", std::string(StatusCodeName(status.code())));
    if (IsServersFault(status.code())) Fail(status);
  }));
  End();
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
  active.Begin(name, kind, parent, sink_);
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
