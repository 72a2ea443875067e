#pragma once
/// Requests that wait, owners in turns: each turn is one request, so an owner with a thousand of
/// them delays another's one by one. An owner's requests come in the order of their arrival.
/// Private to the scheduler.

#include <cstdint>
#include <deque>
#include <list>

namespace graft::worker::engine::generation {

/// Thread safety: none.
class WaitingLane {
 public:
  bool empty() const { return owners_.empty(); }
  void Add(uint64_t owner, uint64_t request);
  /// Nothing if it isn't there.
  void Remove(uint64_t owner, uint64_t request);
  /// Takes off the request whose turn it is. Requires: not empty.
  uint64_t Take();

 private:
  struct Owner {
    uint64_t id = 0;
    std::deque<uint64_t> requests;  ///< At least one.
  };
  std::list<Owner> owners_;  ///< In the order of their turns; a new one is the last.
};

}  // namespace graft::worker::engine::generation
