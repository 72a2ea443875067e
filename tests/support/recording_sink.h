#pragma once
/// Keeps the spans that end, for tests to look at.

#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "common/tracing/tracer.h"

namespace graft {

/// Thread safety: thread-safe.
class RecordingSink : public tracing::SpanSink {
 public:
  void Take(tracing::Span span) override {
    const std::lock_guard lock(mutex_);
    spans_.push_back(std::move(span));
  }
  std::vector<tracing::Span> spans() const {
    const std::lock_guard lock(mutex_);
    return spans_;
  }
  /// The last of this name.
  std::optional<tracing::Span> Find(std::string_view name) const {
    std::optional<tracing::Span> found;
    for (tracing::Span& span : spans()) {
      if (span.name == name) found = std::move(span);
    }
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<tracing::Span> spans_;
};

}  // namespace graft
