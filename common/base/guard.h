#pragma once
/// The wall at the front of every thread: what a body throws becomes a Status, so that one job's
/// bad luck ends one job. Threads of the product begin in StartThread and nowhere else; a test of
/// the structure holds that. Thread safety: free functions.

#include <functional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "common/base/status.h"

namespace graft {

/// The exception that is being handled: out of memory -> ResourceExhausted with reason
/// OUT_OF_MEMORY; anything else -> Internal with the first 1 KiB of what it says.
/// Requires: called inside a catch block.
Status CurrentExceptionToStatus();

/// Runs `body` and returns what it returns, a Status or StatusOr (OK for a body that returns
/// nothing), or what it threw.
template <typename Body>
auto Contained(Body&& body) {
  using Result = std::invoke_result_t<Body>;
  if constexpr (std::is_void_v<Result>) {
    try {
      body();
      return OkStatus();
    } catch (...) {
      return CurrentExceptionToStatus();
    }
  } else {
    try {
      return body();
    } catch (...) {
      return Result(CurrentExceptionToStatus());
    }
  }
}

/// Starts a thread that runs `body`; `failed` is told on it what `body` threw, which ends it. A
/// body that should outlive a fault holds a Contained around each round of its work.
std::thread StartThread(std::function<void()> body, std::function<void(const Status&)> failed);

}  // namespace graft
