#include "worker/engine/serving/scheduler/lane.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace graft::worker::engine {

int64_t WaitingRequest::tokens_left() const {
  return std::accumulate(lengths.begin() + static_cast<ptrdiff_t>(next), lengths.end(), int64_t{0});
}

void Lane::Add(WaitingRequest& request) {
  auto owner = std::ranges::find(owners_, request.owner, &Owner::id);
  if (owner == owners_.end()) {
    owner = owners_.emplace(owner);
    owner->id = request.owner;
  }
  owner->requests.push_back(&request);
}

void Lane::Remove(const WaitingRequest& request) {
  const auto owner = std::ranges::find(owners_, request.owner, &Owner::id);
  if (owner == owners_.end()) return;
  std::erase(owner->requests, &request);
  if (owner->requests.empty()) owners_.erase(owner);
}

bool Lane::TakeTurn(Owner& owner, int64_t room, bool may_exceed, std::vector<ScheduledText>& texts,
                    int64_t& tokens) {
  while (!owner.requests.empty()) {
    WaitingRequest& request = *owner.requests.front();
    const int64_t length = request.lengths[request.next];
    if ((!may_exceed || !texts.empty()) && tokens + length > room) return false;
    if (length > owner.credit) return true;
    owner.credit -= length;
    tokens += length;
    owner.served = request.id;
    texts.push_back({request.id, request.next});
    if (++request.next == request.lengths.size()) owner.requests.pop_front();
  }
  return true;
}

void Lane::Take(int64_t room, int64_t turn, bool may_exceed, std::vector<ScheduledText>& texts,
                int64_t& tokens) {
  while (!owners_.empty()) {
    Owner& owner = owners_.front();
    if (!std::exchange(owner.in_turn, true)) {
      owner.credit += turn;
      owner.served.reset();
    }
    if (!TakeTurn(owner, room, may_exceed, texts, tokens)) return;
    if (owner.requests.empty()) {
      owners_.pop_front();
      continue;
    }
    owner.in_turn = false;
    if (takes_turns_ && owner.served == owner.requests.front()->id) {
      owner.requests.push_back(owner.requests.front());
      owner.requests.pop_front();
    }
    owners_.splice(owners_.end(), owners_, owners_.begin());
  }
}

}  // namespace graft::worker::engine
