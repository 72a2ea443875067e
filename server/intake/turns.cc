#include "server/intake/turns.h"

namespace graft::server::intake {

using std::chrono::steady_clock;

Turns::Turns(int at_once, std::chrono::milliseconds slice) : slice_(slice), free_(at_once) {}

void Turns::Wait(std::unique_lock<std::mutex>& lock) {
  const uint64_t ticket = next_++;
  waiting_.push_back(ticket);
  changed_.wait(lock, [&] { return free_ > 0 && waiting_.front() == ticket; });
  waiting_.pop_front();
  --free_;
  // Another place may be free for the one that is first now.
  changed_.notify_all();
}

void Turns::Leave() {
  ++free_;
  changed_.notify_all();
}

Turns::Turn::Turn(Turns& turns) : turns_(turns) {
  std::unique_lock lock(turns_.mutex_);
  turns_.Wait(lock);
  began_ = steady_clock::now();
}

Turns::Turn::~Turn() {
  const std::lock_guard lock(turns_.mutex_);
  turns_.Leave();
}

void Turns::Turn::GiveWay() {
  if (steady_clock::now() - began_ < turns_.slice_) return;
  std::unique_lock lock(turns_.mutex_);
  if (!turns_.waiting_.empty()) {
    turns_.Leave();
    turns_.Wait(lock);
  }
  began_ = steady_clock::now();
}

}  // namespace graft::server::intake
