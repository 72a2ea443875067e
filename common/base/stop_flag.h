#pragma once
/// Tells a piece of work that nobody waits for its result any more.

#include <atomic>
#include <memory>

#include "common/base/status.h"

namespace graft {

/// Copies share the flag. Thread safety: thread-safe.
class StopFlag {
 public:
  void Set() const { *set_ = true; }
  bool IsSet() const { return *set_; }
  /// Cancelled once the flag is set; for between two steps of the work.
  Status Check() const {
    return IsSet() ? CancelledError("nobody waits for this any more") : OkStatus();
  }

 private:
  std::shared_ptr<std::atomic<bool>> set_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace graft
