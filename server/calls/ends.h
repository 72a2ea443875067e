#pragma once
/// What callers read of calls that end before they are done.

#include "common/base/status.h"
#include "server/calls/call.h"

namespace graft::server::calls {

/// DeadlineExceeded, with what the call waited for.
Status Late(const CallState& call);
/// Unavailable.
Status ShuttingDown();

}  // namespace graft::server::calls
