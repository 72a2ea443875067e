#pragma once
/// The worker's life: register, take leases, renew them, give them back. One thread polls for work,
/// one sends the heartbeat, one looks at the bases on disk, each job has its own; the engine's
/// thread computes.

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "worker/agent/job_runner.h"
#include "worker/agent/objects.h"
#include "worker/agent/server_link.h"
#include "worker/engine/engine.h"

namespace graft::worker::agent {

struct AgentOptions {
  std::string worker_id;
  std::string engine_address;  ///< Where the server reaches our Engine service.
  std::string build;
  int max_jobs = 1;  ///< Leases held at once.
  /// Called when a job finds the device lost to this process: a new one may get it back. Runs on a
  /// thread of the agent's and must not block; called again for each such job.
  std::function<void()> on_device_failed = [] {};
  tracing::Tracer tracer = {};
};

/// Thread safety: thread-safe.
class Agent {
 public:
  Agent(AgentOptions options, engine::Engine& engine, std::shared_ptr<ServerLink> server,
        std::shared_ptr<Objects> objects);
  ~Agent();

  /// Starts the threads; registration is retried until the server answers.
  void Start();
  /// Takes no more leases, asks running jobs for a checkpoint and gives their leases back. Blocks
  /// until that is done or `timeout` has passed.
  void Drain(std::chrono::milliseconds timeout);
  bool registered() const;

 private:
  /// A round of each; false if the agent is stopping.
  bool Poll();
  bool Beat();
  bool LookAtBases();
  /// Runs rounds until one says false, on a thread of its own. What a round throws is logged, and
  /// the next begins after a pause: the worker must go on for its other jobs.
  std::thread Repeat(const char* what, bool (Agent::*round)());
  /// Takes on what a poll brought.
  void Begin(graft::internal::v1::AcquireLeasesResponse& granted);
  /// Registers; false if the agent is stopping.
  bool RegisterUntilDone();
  void RenewOnce();
  /// Drops runners that are done and notes how they ended. Returns how many there are.
  size_t Reap();
  /// After jobs that failed by this machine's fault no lease is taken for a while, longer each time
  /// in a row: what is broken here must not use up the attempts of a whole queue. Requires: mutex_.
  void NoteEnd(const Status& failure);
  bool AnyDone() const;  ///< Requires: mutex_.
  /// Waits; true if the agent is stopping.
  bool WaitFor(std::chrono::milliseconds time);

  const AgentOptions options_;
  engine::Engine& engine_;
  const std::shared_ptr<ServerLink> server_;
  const std::shared_ptr<Objects> objects_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::list<std::unique_ptr<JobRunner>> runners_;
  std::chrono::milliseconds renew_{1000};
  bool registered_ = false;
  bool report_soon_ = false;
  int failures_ = 0;  ///< By the machine's fault, in a row.
  std::chrono::steady_clock::time_point rest_until_;
  std::vector<std::string> bases_;  ///< In the folder, as they were when it was looked at last.
  std::chrono::steady_clock::time_point last_beat_;  ///< The heartbeat's thread only.
  bool draining_ = false;
  bool stopping_ = false;
  std::thread poll_, heartbeat_, look_;
};

}  // namespace graft::worker::agent
