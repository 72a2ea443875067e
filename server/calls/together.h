#pragma once
/// Several coroutines at once on the io thread.

#include <functional>
#include <vector>

#include "common/base/status.h"
#include "server/calls/await.h"

namespace graft::server::calls {

/// Runs all of them. Where one fails the others are interrupted, and its error is returned once all
/// have ended. An interruption of the caller is one of each.
Awaitable<Status> Together(std::vector<std::function<Awaitable<Status>()>> tasks);

}  // namespace graft::server::calls
