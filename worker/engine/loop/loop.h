#pragma once
/// The engine's one thread, and the one place that decides who computes next. Background clients
/// (training, evaluations) have a turn each, one after the other; between two layers of theirs
/// foreground clients (serving) compute as many rows as wait at that moment, and short tasks run.
/// So serving waits for one layer at most, tasks and newcomers for one pass.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/engine/loop/client.h"

namespace graft::worker::engine {

/// Thread safety: thread safe, except that Start and Stop are called once, by one thread.
class Loop {
 public:
  struct Clients {
    std::vector<ForegroundClient*> foreground;
    std::vector<BackgroundClient*> background;
  };

  /// Borrows the clients.
  explicit Loop(Clients clients) : clients_(std::move(clients)) {}

  void Start();
  /// Fails everything that waits, and ends the thread.
  void Stop();
  /// Runs `task` between passes and between layers; it mustn't throw.
  void Post(std::function<void()> task);
  /// Tells the thread that a client isn't idle any more.
  void Wake();

 private:
  enum class TaskTurn { kRan, kNone, kStopping };

  void Run();
  /// Requires: mutex_.
  bool AllIdle() const;
  bool ForegroundIdle() const;
  void ForEachClient(const std::function<void(Client&)>& body) const;
  /// What runs between two layers: as many rows of each foreground client as wait at the beginning,
  /// for the background goes on behind them whoever comes meanwhile; and short tasks, one behind
  /// each turn and all where nothing waits.
  void RunForeground();
  /// Runs a short task, if one waits.
  TaskTurn RunTask();

  const Clients clients_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  ///< Guarded by mutex_.
  bool stopping_ = false;                    ///< Guarded by mutex_.
  std::thread thread_;
};

}  // namespace graft::worker::engine
