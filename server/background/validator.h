#pragma once
/// Takes VALIDATING jobs, whoever created them and before whichever restart, reads their data and
/// queues or fails them. Waits for a server's first worker, since a job must fit into one.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/background/backend.h"
#include "server/calls/background_task.h"

namespace graft::server::background {

/// Thread safety: Start and Stop from one thread that isn't the io thread.
class Validator {
 public:
  struct Options {
    std::string server_id;  ///< The same after a restart: then its claims are its own again.
    std::chrono::milliseconds claim{10'000};  ///< How long a claim lasts without renewal.
    std::chrono::milliseconds retry{
        2'000};           ///< Before a fault of the machine (disk full) is tried again.
    int max_tries = 30;   ///< Then such a fault fails the job.
    int max_running = 4;  ///< Fewer than there are threads: estimates and checks find one.
  };
  Validator(Backend& backend, Options options) : backend_(backend), options_(std::move(options)) {}
  ~Validator() { Stop(); }

  void Start();
  /// Returns when nothing of it runs any more; what was begun is taken up after the next start.
  void Stop();

 private:
  struct Children;
  calls::Awaitable<void> Loop();
  /// Begins what may run of the jobs that are VALIDATING.
  calls::Awaitable<void> Look(std::shared_ptr<Children> children);
  calls::Awaitable<void> Validate(core::JobKey key);
  calls::Awaitable<StatusOr<intake::Prepared>> Prepare(core::Job job);
  /// Renews the claim until the work is done.
  calls::Awaitable<StatusOr<intake::Prepared>> WhileRenewing(
      core::JobKey key, int64_t token, calls::Awaitable<StatusOr<intake::Prepared>> work);
  /// Jobs that ended or were cancelled elsewhere leave nothing behind here.
  void ForgetAllBut(const std::vector<core::Job>& validating);
  bool WorthRetrying(const core::JobKey& key, const Status& status);

  Backend& backend_;
  const Options options_;
  std::set<core::JobKey> running_;
  std::map<core::JobKey, int> tries_;
  std::map<core::JobKey, std::chrono::steady_clock::time_point> not_before_;
  std::unique_ptr<calls::BackgroundTask> loop_;
};

}  // namespace graft::server::background
