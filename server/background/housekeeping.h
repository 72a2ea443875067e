#pragma once
/// What a server does by the clock: takes back leases whose workers are gone, ends jobs whose base
/// is gone, counts jobs for the metrics, removes objects that no row points at any more.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "server/background/backend.h"
#include "server/calls/background_task.h"

namespace graft::server::background {

/// Thread safety: Start and Stop from one thread that isn't the io thread; WorkerDied on the io
/// thread.
class Housekeeping {
 public:
  struct Options {
    std::chrono::milliseconds expire_every{500};
    std::chrono::milliseconds count_every{2'000};
    std::chrono::milliseconds collect_every{600'000};
    /// How long a base's folder is missing before the jobs that wait for it end: one that is
    /// replaced may be away for a moment.
    std::chrono::milliseconds base_missing{15'000};
  };
  Housekeeping(Backend& backend, Options options) : backend_(backend), options_(options) {}
  ~Housekeeping() { Stop(); }

  void Start();
  void Stop();

  /// A worker's process ended: its leases are taken back at once, rather than when they expire.
  void WorkerDied(const std::string& worker_id);

 private:
  calls::Awaitable<void> Loop();
  calls::Awaitable<void> Expire(std::string dead_worker);
  calls::Awaitable<void> Count();
  /// Ends the jobs that wait for a base whose folder is gone; no worker would ever ask for them.
  calls::Awaitable<void> EndJobsOnMissingBases();

  Backend& backend_;
  const Options options_;
  std::optional<std::set<std::string>> known_;  ///< Bases that are or were there, or are wanted.
  std::map<std::string, std::chrono::steady_clock::time_point> missing_;  ///< Since when.
  std::unique_ptr<calls::BackgroundTask> loop_, collector_;
};

}  // namespace graft::server::background
