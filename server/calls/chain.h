#pragma once
/// The links that every call passes, from the outermost to the innermost.

#include <memory>

#include "server/calls/link.h"

namespace graft::server::calls {

struct ChainOptions {
  /// Calls of Cost::kInference in flight. What comes beyond them is refused before it is looked at.
  int max_inference_calls = 1024;
};

/// role (who may call), drain (what a draining server still takes), deadline, limits.
Chain MakeChain(const ChainOptions& options);

/// Returns Arrival::worker_access of who may not call a method of Role::kWorker.
std::unique_ptr<Link> MakeRoleLink();
/// Unavailable for what a draining server refuses.
std::unique_ptr<Link> MakeDrainLink();
/// Interrupts the call at its deadline.
std::unique_ptr<Link> MakeDeadlineLink();
/// ResourceExhausted for a call of Cost::kInference beyond `max_inference_calls`.
std::unique_ptr<Link> MakeLimitLink(int max_inference_calls);

}  // namespace graft::server::calls
