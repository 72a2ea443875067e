#pragma once
/// Port. Starts worker processes and tells of their end. Implemented by ProcessLauncher;
/// MemoryLauncher stands in for processes in tests and shows the protocol. Thread safety: confined
/// to the io thread, callbacks come there too.

#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace graft::server::supervisor {

struct WorkerCommand {
  std::string binary;  ///< Path of graft-worker.
  std::vector<std::string> arguments;
  std::string name;  ///< The worker's id, for the log.
};

/// How a process ended.
struct WorkerExit {
  int exit_code = 0;             ///< 0 if a signal ended it.
  int signal = 0;                ///< 0 if it ended by itself.
  std::string ToString() const;  ///< "was killed by signal 9"
};

class WorkerLauncher {
 public:
  using OnExit = std::function<void(WorkerExit)>;
  using OnLine = std::function<void(std::string)>;

  virtual ~WorkerLauncher() = default;
  /// Starts a process and returns its handle. `on_line` gets each line of its output, `on_exit` its
  /// end, once, after which the handle is free.
  /// Errors: NotFound if there is no such program; Unavailable if the machine starts none.
  virtual StatusOr<int> Launch(const WorkerCommand& command, OnLine on_line, OnExit on_exit) = 0;
  /// Asks the process to stop (SIGTERM). Nothing if it is gone.
  virtual void Terminate(int handle) = 0;
  /// Ends the process (SIGKILL). Nothing if it is gone.
  virtual void Kill(int handle) = 0;
};

}  // namespace graft::server::supervisor
