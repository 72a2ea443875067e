#pragma once
/// Threads that share short pieces of work on the CPU: a pass over one token is hundreds of them,
/// tens of microseconds each, and OpenMP's teams either sleep between two (tens of microseconds to
/// wake) or, with nothing else to run on, wait awake for a thread that others keep from its core.
///
/// Here whoever is there takes the next chunk, and nobody waits for a thread that hasn't begun: on
/// a busy machine the caller does all by itself. Helpers stay awake for a moment after each job.

#include <cstdint>
#include <type_traits>

namespace graft::worker::engine::cpu {

/// See ForEachChunk. `context` is handed to `chunk`.
void RunChunks(int64_t count, void (*chunk)(void* context, int64_t i, int64_t thread),
               void* context);
/// How many threads work on one call's chunks at most.
int64_t MostThreads();

/// Calls body(i) for each i in [0, count), on this thread and on libtorch's number of threads less
/// one; returns when all are done. Which thread takes which is chance, so that no result may depend
/// on it. A body that takes two numbers, body(i, thread), is also told which of the call's threads
/// it is on, in [0, MostThreads()). Of two callers at once, the second works alone; so does who is
/// called from within. Requires: body throws nothing; count < 2^20.
template <typename Body>
void ForEachChunk(int64_t count, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  RunChunks(
      count,
      [](void* context, int64_t i, [[maybe_unused]] int64_t thread) {
        auto& own = *static_cast<Plain*>(context);
        if constexpr (std::is_invocable_v<Plain&, int64_t, int64_t>) {
          own(i, thread);
        } else {
          own(i);
        }
      },
      const_cast<std::remove_const_t<Plain>*>(&body));
}

}  // namespace graft::worker::engine::cpu
