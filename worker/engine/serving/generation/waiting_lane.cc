#include "worker/engine/serving/generation/waiting_lane.h"

#include <algorithm>

namespace graft::worker::engine::generation {

void WaitingLane::Add(uint64_t owner, uint64_t request) {
  auto found = std::ranges::find(owners_, owner, &Owner::id);
  if (found == owners_.end()) found = owners_.insert(found, {.id = owner, .requests = {}});
  found->requests.push_back(request);
}

void WaitingLane::Remove(uint64_t owner, uint64_t request) {
  const auto found = std::ranges::find(owners_, owner, &Owner::id);
  if (found == owners_.end()) return;
  std::erase(found->requests, request);
  if (found->requests.empty()) owners_.erase(found);
}

uint64_t WaitingLane::Take() {
  Owner& owner = owners_.front();
  const uint64_t request = owner.requests.front();
  owner.requests.pop_front();
  if (owner.requests.empty()) {
    owners_.pop_front();
  } else {
    owners_.splice(owners_.end(), owners_, owners_.begin());
  }
  return request;
}

}  // namespace graft::worker::engine::generation
