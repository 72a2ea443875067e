#pragma once
/// What stands in front of every call, whichever protocol it came by: one check each.
/// Source of the form: userver's http_middleware_base.hpp.

#include <functional>

#include "common/base/status.h"
#include "server/calls/await.h"
#include "server/calls/call.h"

namespace graft::server::calls {

/// Thread safety: confined to the io thread.
class Link {
 public:
  using Next = std::function<Awaitable<Status>()>;

  virtual ~Link() = default;
  /// Returns what the call ends with: what `next` gives, or what this link has to say. Calls `next`
  /// once at most. Both may throw: see CallState.
  virtual Awaitable<Status> Handle(CallState& call, Next next) = 0;
};

}  // namespace graft::server::calls
