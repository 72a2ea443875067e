#include "server/supervisor/restart_policy.h"

#include <algorithm>

namespace graft::server::supervisor {

std::chrono::milliseconds RestartPolicy::OnExit(std::chrono::milliseconds ran) {
  failures_ = ran >= options_.healthy_after ? 1 : failures_ + 1;
  auto wait = options_.first;
  for (int i = 1; i < failures_ && wait < options_.max; ++i) wait *= 2;
  return std::min(wait, options_.max);
}

}  // namespace graft::server::supervisor
