#pragma once
/// A core over a memory store in virtual time, with one-line forms of each operation.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "server/core/granting.h"
#include "server/core/jobs.h"
#include "server/core/leases.h"
#include "server/core/registry.h"
#include "server/stores/memory_store.h"

namespace graft::server::core {

inline constexpr TimeUs kSecond = 1'000'000;

class CoreFixture : public testing::Test {
 protected:
  /// Runs `work(tx)` in a transaction that is kept if it returns OK.
  template <typename F>
  auto Do(F work) {
    using Result = std::invoke_result_t<F&, Transaction&>;
    Result result = InternalError("never run");
    const Status status = store_.WriteNow([&](Transaction& tx) {
      result = work(tx);
      if constexpr (std::is_same_v<Result, Status>) {
        return result;
      } else {
        return result.status();
      }
    });
    EXPECT_EQ(status.ok(), IsOk(result));
    return result;
  }

  static NewJob Asked(const std::string& request_id = {}) {
    NewJob job;
    job.tenant = "default";
    job.request_id = request_id;
    job.request_hashes = {.resolved_spec = "resolved", .message = "content"};
    job.spec_json = "{}";
    job.base = "minilm";
    job.adapter = "support";
    return job;
  }
  JobKey Create(const NewJob& asked = Asked()) {
    // Ids sort by time only across milliseconds.
    clock_.Advance(1000);
    auto job = Do([&](Transaction& tx) { return CreateJob(tx, asked); });
    EXPECT_TRUE(job.ok()) << job.status();
    return job->key;
  }
  StatusOr<Job> Claim(const JobKey& key, const std::string& server = "server-1") {
    return Do([&](Transaction& tx) { return ClaimValidation(tx, key, server, 10 * kSecond); });
  }
  StatusOr<Job> Validated(const JobKey& key, const JobFacts& facts = {}) {
    return Do([&](Transaction& tx) -> StatusOr<Job> {
      GRAFT_ASSIGN_OR_RETURN(const Job job, tx.GetJob(key));
      return FinishValidation(tx, key, job.lease.token, "data", facts, {});
    });
  }
  JobKey Queued(const NewJob& asked = Asked(), const JobFacts& facts = {}) {
    const JobKey key = Create(asked);
    EXPECT_TRUE(Claim(key).ok());
    EXPECT_TRUE(Validated(key, facts).ok());
    return key;
  }
  /// One that needs so much of a worker's memory.
  JobKey QueuedNeeding(int64_t bytes, int priority = 0, const std::string& tenant = "default") {
    NewJob asked = Asked();
    asked.priority = priority;
    asked.tenant = tenant;
    JobFacts facts;
    facts.peak_memory_bytes = bytes;
    return Queued(asked, facts);
  }
  std::vector<Job> Acquire(const std::string& worker = "worker-1", int max = 1,
                           const std::vector<std::string>& bases = {"minilm"}) {
    const auto jobs = AcquireFor({worker, bases, max});
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    return jobs.ok() ? jobs->granted : std::vector<Job>();
  }
  StatusOr<AcquiredLeases> AcquireFor(const WorkerAsk& ask) {
    return Do([&](Transaction& tx) -> StatusOr<AcquiredLeases> {
      GRAFT_ASSIGN_OR_RETURN(const Work work, FindWork(tx, ask, options_));
      return AcquireLeases(tx, ask, work.jobs, options_);
    });
  }
  Job Running(const NewJob& asked = Asked()) {
    const JobKey key = Queued(asked);
    std::vector<Job> jobs = Acquire();
    EXPECT_EQ(jobs.size(), 1U);
    EXPECT_EQ(jobs.at(0).key, key);
    return jobs.at(0);
  }
  static LeaseReport ReportOf(const Job& job, int64_t step = 0) {
    LeaseReport report;
    report.key = job.key;
    report.token = job.lease.token;
    report.worker = job.lease.worker;
    report.step = step;
    return report;
  }
  /// A report with a checkpoint at its step.
  static LeaseReport CheckpointOf(const Job& job, int64_t step) {
    LeaseReport report = ReportOf(job, step);
    report.checkpoint = {"attempts/" + std::to_string(job.lease.token), "hash", step};
    return report;
  }
  StatusOr<LeaseVerdict> Renew(const LeaseReport& report) {
    return Do([&](Transaction& tx) { return RenewLease(tx, report, options_); });
  }
  static Completion Ended(const Job& job, Outcome outcome) {
    Completion completion;
    completion.report = ReportOf(job);
    completion.outcome = outcome;
    if (outcome == Outcome::kSucceeded) completion.version.sha256 = std::string(64, 'a');
    if (outcome == Outcome::kFailed || outcome == Outcome::kRetry) {
      completion.error = {StatusCode::kInternal, "it broke", {}, 0};
    }
    return completion;
  }
  StatusOr<Job> Complete(const Completion& completion) {
    return Do([&](Transaction& tx) { return CompleteLease(tx, completion, options_); });
  }
  StatusOr<std::vector<Job>> Expire(const std::string& dead_worker = {}) {
    return Do([&](Transaction& tx) { return ExpireLeases(tx, options_, dead_worker); });
  }
  StatusOr<Job> Cancel(const JobKey& key) {
    return Do([&](Transaction& tx) { return CancelJob(tx, key); });
  }
  StatusOr<Job> Pause(const JobKey& key) {
    return Do([&](Transaction& tx) { return PauseJob(tx, key); });
  }
  StatusOr<Job> Resume(const JobKey& key) {
    return Do([&](Transaction& tx) { return ResumeJob(tx, key); });
  }
  Job Get(const JobKey& key) {
    auto job = Do([&](Transaction& tx) { return tx.GetJob(key); });
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? *job : Job();
  }
  std::vector<JobEvent> Events(const JobKey& key) {
    auto events = Do([&](Transaction& tx) { return tx.ListEvents(key, 0, 10'000); });
    EXPECT_TRUE(events.ok()) << events.status();
    return events.ok() ? *events : std::vector<JobEvent>();
  }
  /// "CREATED DATA_READY LEASED": why the state changed, in order.
  std::string Reasons(const JobKey& key) {
    std::string reasons;
    for (const JobEvent& event : Events(key)) {
      if (event.kind != EventKind::kStateChange) continue;
      reasons += (reasons.empty() ? "" : " ") + event.reason;
    }
    return reasons;
  }

  FakeClock clock_;
  stores::MemoryStore store_{clock_};
  LeaseOptions options_;

 private:
  static bool IsOk(const Status& status) { return status.ok(); }
  template <typename T>
  static bool IsOk(const StatusOr<T>& result) {
    return result.ok();
  }
};

}  // namespace graft::server::core
