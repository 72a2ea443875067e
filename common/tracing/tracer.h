#pragma once
/// Makes spans. Without somebody who takes them it makes none, and passes on what callers sent.

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/tracing/span.h"

namespace graft::tracing {

/// Port; implemented by otlp/exporter.h. Thread safety: implementations are thread-safe and quick.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void Take(Span span) = 0;
};

/// Which traces are recorded. Source: OpenTelemetry's built-in samplers.
struct Sampler {
  bool follows_parent = true;  ///< What has a parent is recorded where that was.
  double ratio = 1;            ///< Of the others; the same traces by every process.

  bool Samples(const SpanContext& parent, std::string_view trace_id) const;
};

/// A span that lasts, until End or destruction. Thread safety: confined to one thread at a time;
/// context() is const from its beginning on.
class ActiveSpan {
 public:
  ActiveSpan() = default;  ///< In no trace.
  ~ActiveSpan() { End(); }
  ActiveSpan(ActiveSpan&&) noexcept = default;
  ActiveSpan& operator=(ActiveSpan&& other) noexcept;

  /// What is below it begins with this. Of a tracer that is off, its parent's.
  const SpanContext& context() const { return context_; }
  bool is_recorded() const { return span_ != nullptr; }
  // Nothing of one that isn't recorded.
  void Set(std::string_view attribute, Value value) {
    if (span_ != nullptr) span_->Set(attribute, std::move(value));
  }
  void AddEvent(std::string_view name);
  void AddLink(const SpanContext& other);
  void Fail(const Status& status) {
    if (span_ != nullptr) span_->Fail(status);
  }
  /// One below it, which is recorded if this is.
  ActiveSpan StartChild(std::string_view name, SpanKind kind = SpanKind::kInternal) const;
  // These don't throw: a lack of memory costs the span alone.
  void End() noexcept;
  /// Ends a call's, with what that ended with: see IsServersFault.
  void EndWith(const Status& status) noexcept;
  /// It tells nobody anything.
  void Discard() { span_.reset(); }

 private:
  friend class Tracer;
  /// Requires: context_ is its own.
  void Begin(std::string_view name, SpanKind kind, const SpanContext& parent,
             std::shared_ptr<SpanSink> sink);

  SpanContext context_;
  std::unique_ptr<Span> span_;
  std::shared_ptr<SpanSink> sink_;
};

/// Thread safety: const after construction. Copies make the same.
class Tracer {
 public:
  Tracer() = default;  ///< Records nothing.
  Tracer(std::shared_ptr<SpanSink> sink, Sampler sampler)
      : sink_(std::move(sink)), sampler_(sampler) {}

  bool is_on() const { return sink_ != nullptr; }
  /// Below `parent`; one that isn't valid begins a trace, if anything is recorded.
  ActiveSpan Start(std::string_view name, const SpanContext& parent,
                   SpanKind kind = SpanKind::kInternal) const;
  /// Below `parent`, or in no trace where that isn't valid.
  ActiveSpan StartBelow(std::string_view name, const SpanContext& parent,
                        SpanKind kind = SpanKind::kInternal) const;
  /// One that is over. `span` has a name, times and a context, of which an empty span_id is filled
  /// in; it is recorded if its `parent` is.
  void Record(Span span, const SpanContext& parent) const;

 private:
  std::shared_ptr<SpanSink> sink_;
  Sampler sampler_;
};

}  // namespace graft::tracing
