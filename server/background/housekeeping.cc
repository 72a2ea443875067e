#include "server/background/housekeeping.h"

#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "common/base/ids.h"
#include "common/logging/log.h"
#include "server/background/collector.h"
#include "server/background/job_probe.h"
#include "server/background/job_trace.h"
#include "server/core/jobs.h"
#include "server/core/leases.h"

namespace graft::server::background {
namespace {

using core::Transaction;
using std::chrono::milliseconds;

constexpr size_t kBatch = 500;

}  // namespace

void Housekeeping::Start() {
  loop_ = std::make_unique<calls::BackgroundTask>(backend_.runtime, "housekeeping",
                                                  [this] { return Loop(); });
  auto collect = [this]() -> calls::Awaitable<void> {
    while (true) {
      const StatusOr<int64_t> removed =
          co_await CollectOrphans(backend_, std::string(kDefaultTenant), SystemClock().Now());
      if (!removed.ok())
        spdlog::warn("cannot remove orphaned objects now: {}", removed.status().message());
      if (removed.ok() && *removed > 0)
        spdlog::info("removed {} objects that nothing points at", *removed);
      co_await calls::SleepFor(options_.collect_every);
    }
  };
  collector_ = std::make_unique<calls::BackgroundTask>(backend_.runtime, "removal of orphans",
                                                       std::move(collect));
}

void Housekeeping::Stop() {
  if (loop_ != nullptr) loop_->Stop();
  if (collector_ != nullptr) collector_->Stop();
  loop_.reset();
  collector_.reset();
}

void Housekeeping::WorkerDied(const std::string& worker_id) {
  backend_.workers.Remove(worker_id);
  boost::asio::co_spawn(backend_.runtime.io(), Expire(worker_id), boost::asio::detached);
}

calls::Awaitable<void> Housekeeping::Expire(std::string dead_worker) {
  auto look = [](Transaction& tx) -> StatusOr<bool> {
    core::JobQuery running;
    running.states = {core::JobState::kRunning};
    running.limit = 1;
    GRAFT_ASSIGN_OR_RETURN(const auto jobs, tx.ListJobs(running));
    return !jobs.empty();
  };
  // An idle server writes nothing.
  const StatusOr<bool> any = co_await Read(backend_.runtime, backend_.store, std::move(look));
  if (any.ok() && !*any) co_return;
  core::LeaseOptions options;
  options.duration = backend_.limits.lease.count() * 1000;
  options.stall_after = backend_.limits.stall.count() * 1000;
  auto expire = [options, dead_worker](Transaction& tx) {
    return core::ExpireLeases(tx, options, dead_worker);
  };
  const StatusOr<std::vector<core::Job>> jobs =
      co_await Write(backend_.runtime, backend_.store, std::move(expire));
  if (!jobs.ok()) {
    spdlog::warn("cannot take back expired leases now: {}", jobs.status().message());
    co_return;
  }
  for (const core::Job& job : *jobs) {
    backend_.probe.LeaseExpired();
    NoteTransition(backend_.probe, job);
    RecordLease(backend_.tracer, job);
    logging::Warn(About(job), "job {} lost its worker and is {}", job.key.id,
                  core::JobStateName(job.state));
  }
}

calls::Awaitable<void> Housekeeping::Count() {
  using Counts = std::vector<std::pair<core::JobState, int64_t>>;
  auto count = [](Transaction& tx) -> StatusOr<Counts> {
    Counts counts;
    for (int s = static_cast<int>(core::JobState::kValidating);
         s <= static_cast<int>(core::JobState::kCancelled); ++s) {
      core::JobQuery query;
      query.states = {static_cast<core::JobState>(s)};
      GRAFT_ASSIGN_OR_RETURN(const int64_t jobs, tx.CountJobs(query));
      counts.emplace_back(query.states[0], jobs);
    }
    return counts;
  };
  const StatusOr<Counts> counts = co_await Read(backend_.runtime, backend_.store, std::move(count));
  if (!counts.ok()) co_return;
  for (const auto& [state, jobs] : *counts) backend_.probe.SetJobs(state, jobs);
}

calls::Awaitable<void> Housekeeping::EndJobsOnMissingBases() {
  const StatusOr<std::vector<std::string>> names = co_await backend_.bases.Names();
  // An empty folder is rather a disk that isn't mounted.
  if (!names.ok() || names->empty()) co_return;
  const std::set<std::string> there(names->begin(), names->end());
  if (!known_) {
    // Those that went while no server ran.
    auto wanted = [](Transaction& tx) { return tx.QueuedBases(); };
    const auto bases = co_await Read(backend_.runtime, backend_.store, std::move(wanted));
    if (!bases.ok()) co_return;
    known_.emplace(bases->begin(), bases->end());
  }
  // A base may come, get a job and go between two looks.
  known_->insert(backend_.bases.seen().begin(), backend_.bases.seen().end());
  const auto now = std::chrono::steady_clock::now();
  for (const std::string& base : *known_) {
    if (!there.contains(base)) missing_.emplace(base, now);
  }
  known_->insert(there.begin(), there.end());
  std::erase_if(missing_, [&](const auto& entry) { return there.contains(entry.first); });
  const auto missing = missing_;
  for (const auto& [base, since] : missing) {
    if (now - since < options_.base_missing) continue;
    const Status why = co_await backend_.bases.Check(base);
    if (why.ok()) continue;
    core::JobError error = core::ToJobError(why);
    error.details = {{"BASE_GONE", "base", 0, {}, {}}};
    auto look = [base = base](Transaction& tx) -> StatusOr<bool> {
      core::JobQuery query;
      query.states = {core::JobState::kQueued};
      query.base = base;
      query.limit = 1;
      GRAFT_ASSIGN_OR_RETURN(const auto jobs, tx.ListJobs(query));
      return !jobs.empty();
    };
    const StatusOr<bool> any = co_await Read(backend_.runtime, backend_.store, std::move(look));
    if (!any.ok() || !*any) continue;
    auto end = [base = base, error](Transaction& tx) {
      return core::FailQueued(tx, base, error, kBatch);
    };
    const auto ended = co_await Write(backend_.runtime, backend_.store, std::move(end));
    if (!ended.ok()) continue;
    for (const core::Job& job : *ended) {
      NoteTransition(backend_.probe, job);
      RecordWait(backend_.tracer, job);
      logging::Warn(About(job), "job {} is FAILED: {}", job.key.id, error.message);
    }
  }
}

calls::Awaitable<void> Housekeeping::Loop() {
  auto next_count = std::chrono::steady_clock::now();
  while (true) {
    // Only its links go: a worker that is silent here may renew its leases through another server.
    backend_.workers.RemoveSilent();
    co_await Expire({});
    if (std::chrono::steady_clock::now() >= next_count) {
      co_await Count();
      co_await EndJobsOnMissingBases();
      next_count = std::chrono::steady_clock::now() + options_.count_every;
    }
    co_await calls::SleepFor(options_.expire_every);
  }
}

}  // namespace graft::server::background
