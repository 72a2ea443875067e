#pragma once
/// Wakes those who wait for a job to change. A hint, as the store's: waiters also look again after
/// a while. Thread safety: confined to the io thread, except Notify.

#include <chrono>
#include <memory>
#include <unordered_set>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "server/calls/await.h"
#include "server/calls/runtime.h"
#include "server/core/rows.h"

namespace graft::server::background {

class JobChanges {
 public:
  explicit JobChanges(calls::Runtime& runtime) : runtime_(runtime) {}

  /// Hears of changes from its creation on. Must not outlive the JobChanges.
  class Subscription {
   public:
    /// Of one job, or with an empty id of every job.
    Subscription(JobChanges& changes, core::JobKey key);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    /// Returns at the first change since the last Wait returned, at the latest after `at_most`.
    calls::Awaitable<void> Wait(std::chrono::milliseconds at_most);

   private:
    friend class JobChanges;
    JobChanges& changes_;
    const core::JobKey key_;
    boost::asio::steady_timer timer_;
    bool changed_ = false;
  };

  /// Any thread; what Store::OnJobsChanged calls.
  void Notify(std::vector<core::JobKey> keys);

 private:
  calls::Runtime& runtime_;
  std::unordered_set<Subscription*> subscriptions_;
};

}  // namespace graft::server::background
