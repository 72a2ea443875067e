#include "server/calls/ends.h"

#include <fmt/format.h>

namespace graft::server::calls {

Status Late(const CallState& call) {
  const std::string& what = call.context().waiting_for;
  return DeadlineExceededError(fmt::format("deadline exceeded after {:.1f} s{}", call.seconds(),
                                           what.empty() ? "" : " while waiting for " + what));
}

Status ShuttingDown() { return UnavailableError("the server is shutting down; try again"); }

}  // namespace graft::server::calls
