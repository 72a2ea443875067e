#pragma once
/// Tasks of many turns, such as evaluations of versions: each has a turn, then the next.

#include <deque>
#include <functional>
#include <mutex>

#include "worker/engine/loop/client.h"

namespace graft::worker::engine {

/// Thread safety: Add and idle from any thread; the others on the engine's thread only.
class TurnTasks : public BackgroundClient {
 public:
  /// All are called on the engine's thread.
  struct Task {
    std::function<bool(const Yield&)>
        advance;                              ///< One turn; false once it is over and has answered.
    std::function<void(const Status&)> fail;  ///< Called instead of any further turn.
  };

  void Add(Task task);

  bool idle() const override;
  void Turn(const Yield& yield) override;
  void Close(const Status& status) override;
  void FailAll(const Status& status) override;

 private:
  mutable std::mutex mutex_;
  std::deque<Task> tasks_;  ///< Guarded by mutex_; the front is next.
  Status closed_;           ///< Guarded by mutex_; what Close was given.
};

}  // namespace graft::worker::engine
