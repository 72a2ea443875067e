#pragma once
/// Worker processes as children of this one, by Boost.Process. Each is the leader of its own
/// process group (a Ctrl-C on the terminal reaches the server only, which then stops them in order)
/// and gets SIGTERM if the server dies. Thread safety: confined to the thread that runs `io`.

#include <map>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "server/supervisor/worker_launcher.h"

namespace graft::server::supervisor {

class ProcessLauncher : public WorkerLauncher {
 public:
  explicit ProcessLauncher(boost::asio::io_context& io) : io_(io) {}
  /// Requires: every process has ended.
  ~ProcessLauncher() override;

  StatusOr<int> Launch(const WorkerCommand& command, OnLine on_line, OnExit on_exit) override;
  void Terminate(int handle) override;
  void Kill(int handle) override;

 private:
  struct Process;
  static void ReadLines(std::shared_ptr<Process> process);

  boost::asio::io_context& io_;
  std::map<int, std::shared_ptr<Process>> processes_;  ///< By pid.
};

}  // namespace graft::server::supervisor
