// Thousands of random operations by two servers and a few workers, some of whom die, hang or come
// back late. Whatever happens, the store's invariants hold after every step.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/base/random.h"
#include "server/core/granting.h"
#include "server/core/jobs.h"
#include "server/core/kept_checkpoints.h"
#include "server/core/leases.h"
#include "server/core/registry.h"
#include "tests/server/stores/store_fixture.h"

namespace graft::server::stores {
namespace {

using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobState;
using core::LeaseReport;
using core::Outcome;
using core::Transaction;

constexpr TimeUs kSecond = 1'000'000;
constexpr int kWorkers = 4;

/// What the world outside remembers of one job.
struct Seen {
  int64_t token = 0;
  int64_t num_events = 0;
  JobState ended = JobState::kValidating;  ///< The terminal state, once there is one.
};

/// What a worker believes it holds; may be long out of date.
struct Held {
  JobKey key;
  int64_t token = 0;
  int64_t step = 0;
};

class ModelTest : public testing::TestWithParam<Kind> {
 protected:
  ModelTest() : servers_(GetParam()), random_(7, RandomStream::kShuffle) {
    options_.stall_after = 40 * kSecond;
  }

  uint32_t Below(uint32_t bound) { return random_.NextBelow(bound); }
  core::Store& AnyServer() { return servers_.any(Below(2)); }

  void Step() {
    switch (Below(13)) {
      case 0:
      case 1:
        return Create();
      case 2:
      case 3:
        return Validate();
      case 4:
        return Acquire();
      case 5:
      case 6:
        return Renew();
      case 7:
        return Complete();
      case 8:
        return Wish();
      case 9:
        return Expire();
      case 10:
        servers_.clock().Advance(Below(4) * kSecond);
        return;
      case 11:
        return Keep();
      default:
        return Registry();
    }
  }

  /// A key that exists or existed; none if there is none yet.
  const JobKey* AnyKey() {
    return keys_.empty() ? nullptr : &keys_[Below(static_cast<uint32_t>(keys_.size()))];
  }

  void Create() {
    servers_.clock().Advance(1000);
    core::NewJob asked;
    asked.tenant = "default";
    asked.request_id = "r" + std::to_string(Below(400));
    asked.request_hashes.message = Below(10) == 0 ? "other" : "same";
    asked.base = Below(4) == 0 ? "gpt2" : "minilm";
    asked.adapter = asked.base + std::to_string(Below(3));
    asked.priority = static_cast<int>(Below(3));
    const auto job =
        Do(AnyServer(), [&](Transaction& tx) { return core::CreateJob(tx, asked, {60}); });
    if (!job.ok()) {
      Expect(job.status(), {StatusCode::kAlreadyExists, StatusCode::kResourceExhausted});
      return;
    }
    if (seen_.emplace(job->key, Seen()).second) keys_.push_back(job->key);
  }

  void Validate() {
    const JobKey* key = AnyKey();
    if (key == nullptr) return;
    const std::string server = "server-" + std::to_string(Below(2));
    const auto claimed = Do(AnyServer(), [&](Transaction& tx) {
      return core::ClaimValidation(tx, *key, server, 5 * kSecond);
    });
    if (!claimed.ok()) {
      Expect(claimed.status(),
             {StatusCode::kFailedPrecondition, StatusCode::kAborted, StatusCode::kNotFound});
      return;
    }
    if (Below(5) == 0) return;  // This server dies now.
    const int64_t token = claimed->lease.token;
    const auto finished = Do(AnyServer(), [&](Transaction& tx) {
      if (Below(8) == 0) {
        return core::FailValidation(tx, *key, token, core::ToJobError(DataLossError("bad")));
      }
      return core::FinishValidation(tx, *key, token, "data", {}, {"note"});
    });
    EXPECT_TRUE(finished.ok()) << finished.status();
  }

  void Acquire() {
    const uint32_t w = Below(kWorkers);
    const core::WorkerAsk ask{
        "worker-" + std::to_string(w), {"minilm", "gpt2"}, static_cast<int>(Below(3))};
    const auto work =
        Do(AnyServer(), [&](Transaction& tx) { return core::FindWork(tx, ask, options_); });
    ASSERT_TRUE(work.ok()) << work.status();
    const auto jobs = Do(AnyServer(), [&](Transaction& tx) {
      return core::AcquireLeases(tx, ask, work->jobs, options_);
    });
    ASSERT_TRUE(jobs.ok()) << jobs.status();
    EXPECT_TRUE(jobs->refused.empty());  // An adapter's name says its base here.
    for (const Job& job : jobs->granted) {
      EXPECT_EQ(job.lease.worker, ask.worker);
      held_.push_back({job.key, job.lease.token, job.checkpoint.step});
    }
  }

  LeaseReport Report(Held& held) {
    LeaseReport report;
    report.key = held.key;
    report.token = held.token;
    report.step = held.step += Below(3);
    for (uint32_t i = Below(3); i > 0; --i) {
      JobEvent event;
      event.kind = core::EventKind::kProgress;
      event.progress.step = held.step;
      report.events.push_back(event);
    }
    if (Below(3) == 0)
      report.checkpoint = {"attempts/" + std::to_string(held.token), "h", held.step};
    return report;
  }

  void Renew() {
    if (held_.empty()) return;
    const size_t index = Below(static_cast<uint32_t>(held_.size()));
    const LeaseReport report = Report(held_[index]);
    const bool live = IsLive(report);
    const auto verdict =
        Do(AnyServer(), [&](Transaction& tx) { return core::RenewLease(tx, report, options_); });
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    EXPECT_EQ(verdict->lost, !live);
    // Most drop a lost lease; a few go on as if nothing had happened.
    if (verdict->lost && Below(4) != 0) held_.erase(held_.begin() + static_cast<long>(index));
  }

  void Keep() {
    if (held_.empty()) return;
    Held& held = held_[Below(static_cast<uint32_t>(held_.size()))];
    core::CheckpointToKeep checkpoint;
    checkpoint.key = held.key;
    checkpoint.token = held.token;
    checkpoint.step = held.step += 1 + Below(2);
    checkpoint.most = 2;
    checkpoint.version.sha256 = "sha-" + std::to_string(Below(5));
    const bool live = IsLive(Report(held));
    const auto keep = [&](Transaction& tx) { return core::KeepCheckpoint(tx, checkpoint); };
    const auto kept = Do(AnyServer(), keep);
    if (!live) return Expect(kept.status(), {StatusCode::kAborted});
    ASSERT_TRUE(kept.ok()) << kept.status();
    const auto again = Do(AnyServer(), keep);  // The answer was lost.
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_FALSE(again->made.has_value());
  }

  void Complete() {
    if (held_.empty()) return;
    const size_t index = Below(static_cast<uint32_t>(held_.size()));
    core::Completion completion;
    completion.report = Report(held_[index]);
    completion.outcome = static_cast<Outcome>(Below(6));
    completion.error = {StatusCode::kInternal, "broke", {}, 0};
    completion.version.sha256 = "sha-" + std::to_string(Below(5));
    completion.promote = Below(2) == 0;
    const bool live = IsLive(completion.report);
    const auto done = Do(AnyServer(), [&](Transaction& tx) {
      return core::CompleteLease(tx, completion, options_);
    });
    if (live) {
      ASSERT_TRUE(done.ok()) << done.status();
      EXPECT_NE(done->state, JobState::kRunning);
      // The answer is lost, and the worker asks again.
      if (Below(2) == 0) {
        const auto again = Do(AnyServer(), [&](Transaction& tx) {
          return core::CompleteLease(tx, completion, options_);
        });
        EXPECT_TRUE(again.ok()) << again.status();
        if (again.ok()) {
          EXPECT_EQ(again->revision, done->revision);
        }
      }
    } else if (!done.ok()) {
      Expect(done.status(), {StatusCode::kAborted});
    }
    if (Below(4) != 0) held_.erase(held_.begin() + static_cast<long>(index));
  }

  void Wish() {
    const JobKey* key = AnyKey();
    if (key == nullptr) return;
    const uint32_t which = Below(10);
    const Status status = AnyServer().WriteNow([&](Transaction& tx) -> Status {
      if (which < 3) return core::PauseJob(tx, *key).status();
      if (which < 7) return core::ResumeJob(tx, *key).status();
      if (which < 9) return core::CancelJob(tx, *key).status();
      return core::DeleteJob(tx, *key);
    });
    Expect(status, {StatusCode::kOk, StatusCode::kFailedPrecondition, StatusCode::kNotFound});
    if (status.ok() && which == 9) deleted_.insert(*key);
  }

  void Expire() {
    const std::string dead = Below(4) == 0 ? "worker-" + std::to_string(Below(kWorkers)) : "";
    const auto jobs =
        Do(AnyServer(), [&](Transaction& tx) { return core::ExpireLeases(tx, options_, dead); });
    ASSERT_TRUE(jobs.ok()) << jobs.status();
    const auto over = Look(AnyServer(), [&](Transaction& tx) {
      core::JobQuery query;
      query.states = {core::JobState::kRunning};
      query.lease_expires_before = servers_.clock().Now() + 1;
      return tx.CountJobs(query);
    });
    ASSERT_TRUE(over.ok()) << over.status();
    EXPECT_EQ(*over, 0);
  }

  void Registry() {
    const std::string adapter = "minilm" + std::to_string(Below(3));
    const int64_t number = 1 + Below(6);
    const uint32_t which = Below(6);
    const Status status = AnyServer().WriteNow([&](Transaction& tx) -> Status {
      if (which == 0) return core::DeleteVersion(tx, "default", adapter, number);
      if (which == 1) return core::Rollback(tx, "default", adapter, "live").status();
      return core::SetAlias(tx, "default", adapter, "live", number).status();
    });
    Expect(status, {StatusCode::kOk, StatusCode::kFailedPrecondition, StatusCode::kNotFound});
  }

  bool IsLive(const LeaseReport& report) {
    const auto job = Look(AnyServer(), [&](Transaction& tx) { return tx.GetJob(report.key); });
    return job.ok() && job->state == JobState::kRunning && job->lease.token == report.token;
  }

  static void Expect(const Status& status, const std::set<StatusCode>& codes) {
    EXPECT_TRUE(codes.contains(status.code())) << status;
  }

  void CheckInvariants() {
    const Status status = AnyServer().ReadNow([&](Transaction& tx) -> Status {
      core::JobQuery all;
      all.limit = 100'000;
      GRAFT_ASSIGN_OR_RETURN(const std::vector<Job> jobs, tx.ListJobs(all));
      EXPECT_EQ(jobs.size(), keys_.size() - deleted_.size());
      for (const Job& job : jobs) GRAFT_RETURN_IF_ERROR(CheckJob(tx, job));
      return CheckAdapters(tx);
    });
    EXPECT_TRUE(status.ok()) << status;
  }

  Status CheckJob(Transaction& tx, const Job& job) {
    SCOPED_TRACE(job.key.id + " " + std::string(core::JobStateName(job.state)));
    Seen& seen = seen_.at(job.key);
    EXPECT_GE(job.lease.token, seen.token) << "tokens rise";
    EXPECT_GE(job.num_events, seen.num_events) << "events are never taken back";
    if (core::IsTerminal(seen.ended)) {
      EXPECT_EQ(job.state, seen.ended) << "the end is the end";
      EXPECT_EQ(job.num_events, seen.num_events);
    }
    const bool may_hold = job.state == JobState::kRunning || job.state == JobState::kValidating;
    EXPECT_TRUE(may_hold || (job.lease.expiry == 0 && job.lease.worker.empty()));
    EXPECT_EQ(job.error.has_value(), job.state == JobState::kFailed);
    EXPECT_EQ(job.end_time != 0, core::IsTerminal(job.state));
    int open = 0;
    for (const core::Attempt& attempt : job.attempts) open += attempt.end_reason.empty() ? 1 : 0;
    EXPECT_EQ(open, job.state == JobState::kRunning ? 1 : 0) << "one live lease at most";

    GRAFT_ASSIGN_OR_RETURN(const std::vector<JobEvent> events,
                           tx.ListEvents(job.key, 0, 1'000'000));
    EXPECT_EQ(static_cast<int64_t>(events.size()), job.num_events);
    JobState state = JobState::kValidating;
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(events[i].number, static_cast<int64_t>(i) + 1) << "no gap";
      if (events[i].kind != core::EventKind::kStateChange) continue;
      EXPECT_EQ(events[i].from, state) << "each change starts where the last ended";
      state = events[i].to;
    }
    EXPECT_EQ(state, job.state);
    if (job.state == JobState::kSucceeded) {
      EXPECT_GT(job.version_number, 0);
    } else {
      EXPECT_EQ(job.version_number, 0);
    }
    for (size_t i = 1; i < job.kept.size(); ++i)
      EXPECT_LT(job.kept[i - 1].step, job.kept[i].step) << "no step is kept twice";
    seen = {job.lease.token, job.num_events,
            core::IsTerminal(job.state) ? job.state : JobState::kValidating};
    return OkStatus();
  }

  Status CheckAdapters(Transaction& tx) {
    GRAFT_ASSIGN_OR_RETURN(const auto adapters, tx.ListAdapters("default", "", "", 1000));
    for (const core::Adapter& adapter : adapters) {
      GRAFT_ASSIGN_OR_RETURN(const auto versions,
                             tx.ListVersions("default", adapter.id, 0, 100'000));
      std::set<int64_t> numbers;
      std::set<std::pair<std::string, int64_t>> kept;
      for (const core::Version& version : versions) {
        numbers.insert(version.number);
        EXPECT_LE(version.number, adapter.latest_version);
        EXPECT_EQ(version.base, adapter.base);
        if (version.checkpoint_step > 0) {
          EXPECT_TRUE(kept.emplace(version.job_id, version.checkpoint_step).second);
        }
      }
      for (const auto& [name, alias] : adapter.aliases) {
        EXPECT_TRUE(numbers.contains(alias.version)) << "an alias points at a version";
        for (const int64_t old : alias.history) EXPECT_TRUE(numbers.contains(old));
      }
    }
    return OkStatus();
  }

  TwoServers servers_;
  PhiloxSequence random_;
  core::LeaseOptions options_;
  std::vector<JobKey> keys_;
  std::map<JobKey, Seen> seen_;
  std::set<JobKey> deleted_;
  std::vector<Held> held_;
};

TEST_P(ModelTest, InvariantsHoldThroughThousandsOfOperations) {
  // A durable store pays an fsync a step.
  const int steps = servers_.is_durable() ? 4'000 : 20'000;
  for (int step = 0; step < steps && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    Step();
    if (step % 50 == 0) CheckInvariants();
    if (step % 500 == 499 && servers_.is_durable()) servers_.Reopen();
  }
  CheckInvariants();

  std::map<JobState, int> ended;
  for (const auto& [key, seen] : seen_) ++ended[seen.ended];
  EXPECT_GT(ended[JobState::kSucceeded], 5) << "the walk reached every end";
  EXPECT_GT(ended[JobState::kFailed], 5);
  EXPECT_GT(ended[JobState::kCancelled], 5);
  EXPECT_GT(deleted_.size(), 5U);
}

INSTANTIATE_TEST_SUITE_P(Stores, ModelTest, testing::Values(Kind::kMemory, Kind::kSqlite),
                         KindName);

}  // namespace
}  // namespace graft::server::stores
