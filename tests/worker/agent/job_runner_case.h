#pragma once
/// A JobRunner for tests of it, over what AgentCase has.

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

#include "tests/worker/agent/agent_case.h"
#include "worker/agent/job_runner.h"

namespace graft::worker::agent {

class JobRunnerCase : public AgentCase {
 protected:
  using End = pb::CompleteLeaseRequest;

  ~JobRunnerCase() override {
    if (runner_ == nullptr) return;
    runner_->SetLost();
    WaitUntilDone();
  }

  /// Runs the lease on a new runner. `on_change` is called on the thread that has news: the
  /// engine's or the runner's own, which wait for its return.
  void Run(const pb::Lease& lease, std::function<void()> on_change = {}) {
    runner_.reset();
    server_.Hold(lease);
    finished_ = false;
    made_ = {};
    ready_ = made_.get_future().share();
    JobRunner::Context context;
    context.worker_id = "worker";
    context.engine = engine_.get();
    context.server = link_;
    context.objects = objects_;
    if (max_waiting_bytes_) context.max_waiting_bytes = *max_waiting_bytes_;
    context.on_change = [this, on_change = std::move(on_change)] {
      ready_.wait();
      if (on_change) on_change();
      const std::lock_guard lock(mutex_);
      finished_ = runner_->done();
      changed_.notify_all();
    };
    runner_ = std::make_unique<JobRunner>(std::move(context), lease);
    made_.set_value();
  }
  /// For hooks of the server, which may be called before Run returns.
  JobRunner& runner() {
    ready_.wait();
    return *runner_;
  }
  /// Then on_change isn't called any more.
  bool WaitUntilDone() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLongEnough, [this] { return finished_; });
  }
  /// Runs the lease to its end; returns what the server was told then.
  End RunToEnd(const pb::Lease& lease, std::function<void()> on_change = {}) {
    Run(lease, std::move(on_change));
    EXPECT_TRUE(WaitUntilDone());
    const auto job = server_.job(lease.job_id());
    EXPECT_TRUE(job.completion.has_value());
    return job.completion.value_or(End());
  }

  std::promise<void> made_;
  std::shared_future<void> ready_;  ///< runner_ is there.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
  std::optional<int64_t> max_waiting_bytes_;  ///< Else the runner's own.
  std::unique_ptr<JobRunner> runner_;
};

}  // namespace graft::worker::agent
