#pragma once
/// Work over many rows whose results don't fit in memory all at once.

#include <algorithm>
#include <cstdint>

#include "worker/engine/loop/client.h"

namespace graft::worker::engine {

/// Calls body(begin, count) for [0, all) in parts of at most `most` rows, one behind the other, and
/// `yield`, which may be empty, between two; until body returns false. Requires: most >= 1.
template <typename Body>
void ForEachPart(int64_t all, int64_t most, const Yield& yield, const Body& body) {
  for (int64_t begin = 0; begin < all; begin += most) {
    if (begin > 0 && yield) yield();
    if (!body(begin, std::min(most, all - begin))) return;
  }
}

}  // namespace graft::worker::engine
