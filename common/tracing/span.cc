#include "common/tracing/span.h"

#include <algorithm>
#include <chrono>

namespace graft::tracing {

TimeNs Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void Span::Set(std::string_view attribute, Value value) {
  for (Attribute& other : attributes) {
    if (other.name != attribute) continue;
    other.value = std::move(value);
    return;
  }
  attributes.push_back({std::string(attribute), std::move(value)});
}

void Span::AddEvent(TimeNs time, std::string_view name_of_event) {
  if (events.size() < kMaxEvents) {
    events.push_back({time, std::string(name_of_event)});
  } else {
    ++dropped_events;
  }
}

void Span::AddLink(const SpanContext& other) {
  if (std::ranges::find(links, other) == links.end()) links.push_back(other);
}

bool IsServersFault(StatusCode code) {
  switch (code) {
    case StatusCode::kUnknown:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kUnimplemented:
    case StatusCode::kInternal:
    case StatusCode::kUnavailable:
    case StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

void Span::Fail(const Status& status) {
  if (status.ok()) return;
  has_failed = true;
  message = status.message();
}

}  // namespace graft::tracing
