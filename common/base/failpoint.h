#pragma once
/// Named places between two durable writes where a test can crash or fail the process.
/// Set with `--failpoints` or GRAFT_FAILPOINTS: "name=crash", "name=crash@3" (at the third pass),
/// "name=error@2", "name=throw" (std::bad_alloc), "name=stop" (sleeps until SIGCONT, so that a test
/// can do to others what it will right there), separated by commas. Each acts once. An unset
/// failpoint costs one relaxed load. Thread safety: thread-safe.

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft {

/// Arms failpoints from a specification like the one above, replacing what was armed; "" disarms
/// all.
/// Errors: InvalidArgument on a name that isn't in FailpointNames(), a name that stands twice or an
/// unknown action; what was armed stays.
Status ArmFailpoints(std::string_view specification);

/// Every name there is, sorted; `graft-server --list-failpoints` prints them and the chaos test
/// walks them.
const std::vector<std::string_view>& FailpointNames();

namespace internal {
extern std::atomic<bool> failpoints_armed;
/// Kills or stops the process, without any clean-up, or throws, if `name` is armed so and its turn
/// has come.
void PassFailpoint(std::string_view name);
/// Returns Unavailable if `name` is armed with "error" and its turn has come.
Status PassFailpointStatus(std::string_view name);
}  // namespace internal

/// A place to crash; "error" passes it by, since there is no way to report one from here.
#define GRAFT_FAILPOINT(name)                                                  \
  do {                                                                         \
    if (::graft::internal::failpoints_armed.load(std::memory_order_relaxed)) { \
      ::graft::internal::PassFailpoint(name);                                  \
    }                                                                          \
  } while (false)

/// A place to crash or to return an error from the enclosing function.
#define GRAFT_FAILPOINT_STATUS(name)                                                               \
  do {                                                                                             \
    if (::graft::internal::failpoints_armed.load(std::memory_order_relaxed)) {                     \
      if (auto failed = ::graft::internal::PassFailpointStatus(name); !failed.ok()) return failed; \
    }                                                                                              \
  } while (false)

}  // namespace graft
