#pragma once
/// The workers that this server knows, and its connections to their Engine services. A cache: a
/// server that restarts learns all of it again as the workers register. Thread safety: confined to
/// the io thread.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/spec/job_spec.h"
#include "graft/internal/v1/coordinator.pb.h"
#include "server/background/engine_link.h"
#include "server/calls/await.h"
#include "server/calls/call.h"
#include "server/calls/probe.h"
#include "server/core/granting.h"
#include "server/core/room.h"
#include "server/core/routing.h"
#include "server/intake/estimate.h"

namespace graft::server::background {

class WorkerHub {
 public:
  struct Options {
    std::chrono::milliseconds silent_after{
        10'000};  ///< A worker that has not called for so long is gone.
    /// How long a request waits for a worker to appear, within its deadline, while workers are
    /// expected.
    std::chrono::milliseconds wait_for_worker{10'000};
    /// Asked about a base that no worker has: OK if one may yet get it, else why not. Optional.
    std::function<calls::Awaitable<Status>(std::string base)> check_base;
  };
  WorkerHub(calls::Runtime& runtime, calls::Probe& probe, Options options);

  void Register(const graft::internal::v1::RegisterRequest& request);
  /// A sign of life. False if the worker must register (again).
  bool Touch(const std::string& worker_id);
  void Update(const graft::internal::v1::RenewLeasesRequest& request);
  /// What the worker says of its memory; none: nothing yet.
  std::optional<core::WorkerMemory> MemoryOf(const std::string& worker_id) const;
  /// All that are there.
  std::vector<core::WorkerPlace> Places() const;
  /// Unless newer figures came before.
  void SetMemory(const std::string& worker_id, const graft::internal::v1::JobMemory& memory);
  /// What is known of each, by id.
  struct Known {
    graft::internal::v1::RegisterRequest registered;  ///< With the bases that it has now.
    graft::internal::v1::JobMemory memory;            ///< Empty: nothing was told yet.
    std::vector<std::string> resident;                ///< Bases in its memory.
    bool is_draining = false;
    int outstanding = 0;  ///< Calls that it works on.
  };
  std::map<std::string, Known> All() const;
  /// How far the worker's looks through the queue have come: it outlives its polls, not its
  /// process.
  std::optional<core::QueueWalk> WalkOf(const std::string& worker_id) const;
  void SetWalk(const std::string& worker_id, std::optional<core::QueueWalk> walk);
  /// What lies in the worker's folder now.
  void SetBases(const std::string& worker_id, std::vector<std::string> bases);
  std::vector<std::string> BasesOf(const std::string& worker_id) const {
    return table_.BasesOf(worker_id);
  }
  /// The worker's process ended: forgets it.
  void Remove(const std::string& worker_id);
  /// Forgets silent workers. Their leases end by themselves.
  void RemoveSilent();
  /// The worker holds this version.
  void NoteLoaded(const std::string& worker_id, const std::string& sha256);

  bool Knows(const std::string& worker_id) const { return links_.contains(worker_id); }
  std::vector<std::string> HoldersOf(const std::string& base) const { return table_.Holders(base); }
  /// For estimates of a job in `precision`, the workers that have `base`: those that take jobs
  /// first, of these the largest.
  std::vector<intake::Machine> MachinesFor(const std::string& base,
                                           spec::Precision precision) const;

  /// Returns once a worker has registered: at once if one is there or none is expected, at the
  /// latest after `wait_for_worker`.
  calls::Awaitable<void> AwaitFirst();

  /// Links of the workers that hold `base`, else of one that has it in its folder; waits a little
  /// for a worker if there is none.
  /// Errors: Unavailable with the reason if there is none; FailedPrecondition with reason BASE_GONE
  /// if the server has no such base any more, or can't use it.
  calls::Awaitable<StatusOr<std::vector<std::shared_ptr<EngineLink>>>> ServingLinks(
      const calls::CallContext& context, std::string base);

  /// Calls one worker that serves `base`, preferring one that already holds the version `sha256`;
  /// waits a little for a worker if there is none, and goes to another one if a worker is gone.
  /// Requires: `call` may be repeated.
  template <typename Reply>
  calls::Awaitable<StatusOr<Reply>> CallOne(
      const calls::CallContext& context, std::string base, std::string sha256,
      std::function<calls::Awaitable<StatusOr<Reply>>(EngineLink&)> call);

  /// The same with one of the link's methods, for a version or, without a hash, a plain base.
  template <typename Reply, typename Request>
  calls::Awaitable<StatusOr<Reply>> CallOne(
      const calls::CallContext& context, const core::Version& version,
      EngineLink::Answer<Reply> (EngineLink::*method)(Request, const calls::CallContext&),
      const Request& request) {
    std::function call = [&](EngineLink& link) { return (link.*method)(request, context); };
    co_return co_await CallOne<Reply>(context, version.base, version.sha256, call);
  }

  /// True while workers may be expected to appear: a request waits for one rather than being
  /// refused.
  void set_expecting(bool expecting) {
    expecting_ = expecting;
    Wake();
  }

 private:
  /// Counts a call on a worker, whatever ends it.
  class Outstanding {
   public:
    Outstanding(WorkerHub& hub, std::string worker_id, std::string sha256);
    ~Outstanding();
    Outstanding(const Outstanding&) = delete;
    Outstanding& operator=(const Outstanding&) = delete;
    void Succeeded() { ok_ = true; }

   private:
    WorkerHub& hub_;
    const std::string worker_id_, sha256_;
    bool ok_ = false;
  };

  /// Waits for and chooses a worker that isn't in `tried`.
  calls::Awaitable<StatusOr<std::shared_ptr<EngineLink>>> Pick(const calls::CallContext& context,
                                                               std::string base, std::string sha256,
                                                               const std::set<std::string>& tried);
  Status NoWorkerFor(const std::string& base) const;
  /// "workers: 2 up, bases: a, b": who is there, for messages.
  std::string Present() const;
  std::string WaitsFor(const std::string& base) const;
  /// Returns when a worker comes, goes or changes, at the latest at `give_up`. Throws if the caller
  /// is cancelled.
  calls::Awaitable<void> AwaitChange(std::chrono::steady_clock::time_point give_up);
  /// Wakes those who wait for a worker.
  void Wake();
  /// The same, and tells the metrics.
  void Changed();

  calls::Runtime& runtime_;
  calls::Probe& probe_;
  const Options options_;
  core::WorkerTable table_;
  std::map<std::string, std::shared_ptr<EngineLink>> links_;
  /// As they registered, with the bases that they have now.
  std::map<std::string, graft::internal::v1::RegisterRequest> registrations_;
  std::map<std::string, graft::internal::v1::JobMemory> memory_;
  std::map<std::string, core::QueueWalk> walks_;
  std::map<std::string, bool> draining_;
  std::set<std::string> reported_bases_;
  std::unordered_set<boost::asio::steady_timer*> waiting_;  ///< Of AwaitChange.
  bool expecting_ = false;
};

template <typename Reply>
calls::Awaitable<StatusOr<Reply>> WorkerHub::CallOne(
    const calls::CallContext& context, std::string base, std::string sha256,
    std::function<calls::Awaitable<StatusOr<Reply>>(EngineLink&)> call) {
  std::set<std::string> tried;
  Status last;  // Of a worker: it says more than that there is none.
  while (true) {
    auto picked = co_await Pick(context, base, sha256, tried);
    if (!picked.ok()) co_return last.ok() ? picked.status() : last;
    const std::shared_ptr<EngineLink> link = *picked;
    context.waiting_for = "the answer of worker " + link->worker_id() + " on the base " + base;
    Outstanding outstanding(*this, link->worker_id(), sha256);
    StatusOr<Reply> reply = co_await call(*link);
    if (reply.ok()) outstanding.Succeeded();
    if (reply.ok() || reply.status().code() != StatusCode::kUnavailable) co_return reply;
    last = reply.status();
    tried.insert(link->worker_id());
  }
}

}  // namespace graft::server::background
