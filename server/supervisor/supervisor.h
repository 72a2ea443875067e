#pragma once
/// Keeps one worker process per device alive: starts them, restarts what ends, stops them in order.
/// Thread safety: confined to the io thread.
///
/// A slot's life: waiting -> running -> (ends) -> waiting for its restart -> running ...; Stop, and
/// a refusal of its settings, lead to ended.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "server/supervisor/restart_policy.h"
#include "server/supervisor/worker_launcher.h"

namespace graft::server::supervisor {

class Supervisor {
 public:
  /// Where a worker runs.
  struct Place {
    std::string device;                  ///< "cuda:0", "cpu"
    std::vector<std::string> arguments;  ///< Of this one only.
    /// More of them, asked anew before each start; may be empty.
    std::function<std::vector<std::string>()> arguments_at_start = {};
  };
  struct Options {
    std::string binary;                  ///< Path of graft-worker.
    std::vector<std::string> arguments;  ///< Common to all; --device and --worker-id are added.
    std::vector<Place> places;           ///< One worker each.
    RestartPolicy::Options restart;
    std::chrono::milliseconds drain{10'000};  ///< Between SIGTERM and SIGKILL at Stop.
  };
  /// Called with a worker's id when its process ended, before it is started anew under another id.
  using OnLost = std::function<void(const std::string& worker_id)>;
  /// Called with the first line that a worker printed which refused its own arguments or
  /// environment (exit code 2) and isn't started again: as long as none of its place ended
  /// otherwise before, for then they were all right.
  using OnRefused = std::function<void(const std::string& why)>;

  Supervisor(boost::asio::io_context& io, WorkerLauncher& launcher, Options options, OnLost on_lost,
             OnRefused on_refused);
  ~Supervisor();

  void Start();
  /// Stops every process, then calls `done`, once. Requires: called at most once.
  void Stop(std::function<void()> done);
  /// Stops every process at once (a second signal, a test). Stop's `done` follows as each is
  /// reaped.
  void KillAll();

  int num_running() const;

 private:
  struct Slot;
  void Launch(Slot& slot);
  void Exited(Slot& slot, const WorkerExit& exit);
  void Ended(Slot& slot, const std::string& how);
  void CheckStopped();

  boost::asio::io_context& io_;
  WorkerLauncher& launcher_;
  const Options options_;
  OnLost on_lost_;
  OnRefused on_refused_;
  std::vector<std::unique_ptr<Slot>> slots_;
  boost::asio::steady_timer drain_timer_;
  std::function<void()> stopped_;
  bool stopping_ = false;
};

/// "<device>-<nonce>": an id that no earlier process had, so that a late call of a dead worker is
/// nobody's.
std::string NewWorkerId(const std::string& device);

}  // namespace graft::server::supervisor
