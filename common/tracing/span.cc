#include "common/tracing/span.h"

#include <chrono>

namespace graft::tracing {

TimeNs Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void Span::Fail(const Status& status) {
  if (status.ok()) return;
  has_failed = true;
  message = status.message();
}

}  // namespace graft::tracing
