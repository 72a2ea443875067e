#pragma once
/// A launcher of processes that exist only as entries in a map; whoever holds it decides when one
/// ends. Thread safety: confined to one thread.

#include <map>
#include <utility>
#include <vector>

#include "server/supervisor/worker_launcher.h"

namespace graft::server::supervisor {

class MemoryLauncher : public WorkerLauncher {
 public:
  struct Process {
    WorkerCommand command;
    OnLine on_line;
    OnExit on_exit;
    bool terminated = false;
  };

  StatusOr<int> Launch(const WorkerCommand& command, OnLine on_line, OnExit on_exit) override {
    if (!next_error_.ok()) return std::exchange(next_error_, OkStatus());
    processes_[++last_] = {command, std::move(on_line), std::move(on_exit), false};
    launched_.push_back(command);
    if (on_launch) on_launch(last_);
    return last_;
  }
  void Terminate(int handle) override {
    if (auto found = processes_.find(handle); found != processes_.end()) {
      found->second.terminated = true;
      if (obeys) Exit(handle, {0, 0});
    }
  }
  void Kill(int handle) override { Exit(handle, {0, 9}); }

  /// Ends a process as if by itself.
  void Exit(int handle, WorkerExit exit) {
    auto node = processes_.extract(handle);
    if (!node.empty()) node.mapped().on_exit(exit);
  }
  /// The next Launch fails with this.
  void FailNext(Status error) { next_error_ = std::move(error); }

  const std::map<int, Process>& processes() const { return processes_; }
  const std::vector<WorkerCommand>& launched() const { return launched_; }

  bool obeys = true;                   ///< Terminate ends a process at once.
  std::function<void(int)> on_launch;  ///< Called with each new handle.

 private:
  int last_ = 0;
  Status next_error_;
  std::map<int, Process> processes_;
  std::vector<WorkerCommand> launched_;
};

}  // namespace graft::server::supervisor
