/// The worker's life with a server: who registers when, which leases it takes and gives back, and
/// that no report is lost or told twice while the server is away.

#include "worker/agent/agent.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <sstream>
#include <utility>

#include "common/objects/keys.h"
#include "tests/worker/agent/agent_case.h"

namespace graft::worker::agent {
namespace {

using ::testing::ElementsAreArray;
using End = pb::CompleteLeaseRequest;

class AgentTest : public RunningAgentCase {
 protected:
  /// Grants a lease on an endless job and waits until its first steps are on record.
  void Train(const pb::Lease& lease) {
    server_.Grant(lease);
    ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) {
      return !EvaluatedSteps(seen.jobs.at(lease.job_id()).events).empty();
    }));
  }
  /// Waits for two more heartbeats: the second was made after this call.
  bool WaitForTwoMoreRenewals() {
    const size_t before = server_.seen().renewals.size();
    return server_.WaitUntil([&](const Seen& seen) { return seen.renewals.size() > before + 1; });
  }

  /// Each step's evaluation up to `last`, once; the last may not have been evaluated any more.
  static void ExpectGapless(const std::vector<int64_t>& evaluated, int64_t last) {
    const auto count = static_cast<int64_t>(evaluated.size());
    EXPECT_EQ(evaluated, Range(1, count));
    EXPECT_GE(count, last - 1);
  }

  std::atomic<int> refused_ = 0;  ///< Calls; hooks are called until the agent is gone.
};

TEST_F(AgentTest, RegistersItsDeviceAndItsBases) {
  StartAgent();
  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return !seen.polls.empty(); }));

  const pb::RegisterRequest told = server_.seen().registers.at(0);

  const engine::DeviceFacts facts = engine_->device_facts();
  EXPECT_TRUE(agent_->registered());
  EXPECT_EQ(told.worker_id(), "worker");
  EXPECT_EQ(told.engine_address(), "127.0.0.1:1");
  EXPECT_EQ(told.device(), facts.device);
  EXPECT_EQ(told.memory_bytes(), facts.memory_bytes);
  EXPECT_THAT(told.bases(), ElementsAreArray(engine_->BaseIds()));
}

TEST_F(AgentTest, RegistrationIsRetriedUntilTheServerAnswers) {
  server_.on_register = [this](const pb::RegisterRequest&) {
    return ++refused_ <= 3 ? UnavailableError("the server starts") : OkStatus();
  };

  StartAgent();

  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return !seen.polls.empty(); }));
  EXPECT_EQ(server_.seen().registers.size(), 4U);
  EXPECT_TRUE(agent_->registered());
}

TEST_F(AgentTest, TheLogTellsOnceThatTheServerIsAwayAndNotThatItIsBack) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  server_.on_register = [this](const pb::RegisterRequest&) {
    return ++refused_ <= 3 ? UnavailableError("the server starts") : OkStatus();
  };

  StartAgent();
  const bool polled = server_.WaitUntil([](const Seen& seen) { return !seen.polls.empty(); });
  agent_.reset();
  spdlog::set_default_logger(before);

  ASSERT_TRUE(polled);
  const std::string text = log.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("the server starts"), std::string::npos) << text;
}

TEST_F(AgentTest, ALeaseIsTrainedReportedAndServed) {
  const pb::Lease lease = MakeLease("job");
  StartAgent();

  server_.Grant(lease);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  const FakeCoordinator::Job job = server_.job("job");
  EXPECT_EQ(job.completion->outcome(), End::SUCCEEDED);
  EXPECT_EQ(EvaluatedSteps(job.events), Range(1, kSteps));
  EXPECT_TRUE(engine_->IsResident(job.completion->version_sha256()));
}

TEST_F(AgentTest, TheNextLeaseIsTakenOnceASlotIsFree) {
  StartAgent();
  Train(EndlessLease("first"));
  server_.Grant(MakeLease("second"));
  ASSERT_TRUE(WaitForTwoMoreRenewals());
  const bool too_early = server_.job("second").granted;

  server_.SetDesired("first", v1::CANCELLED);

  EXPECT_FALSE(too_early);
  ASSERT_TRUE(server_.WaitUntilCompleted("second"));
  const Seen seen = server_.seen();
  EXPECT_EQ(seen.jobs.at("first").completion->outcome(), End::CANCELLED);
  EXPECT_EQ(seen.jobs.at("second").completion->outcome(), End::SUCCEEDED);
  for (const pb::AcquireLeasesRequest& poll : seen.polls) EXPECT_EQ(poll.free_slots(), 1);
}

TEST_F(AgentTest, AfterAFailureOfTheMachineItRestsBeforeItTakesAnotherLease) {
  using Clock = std::chrono::steady_clock;
  std::atomic<bool> away = true;
  std::atomic<Clock::time_point> failed;
  server_.on_get = [&](const std::string&) {
    return away ? UnavailableError("the store is away") : OkStatus();
  };
  server_.on_complete = [&](const pb::CompleteLeaseRequest& end) {
    if (end.outcome() == End::RETRY) failed = Clock::now();
    away = false;
    return OkStatus();
  };
  StartAgent();
  server_.Grant(MakeLease("first"));
  server_.Grant(MakeLease("second"));

  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return seen.jobs.at("second").granted; }));

  EXPECT_GE(Clock::now() - failed.load(), std::chrono::milliseconds(500));
  ASSERT_TRUE(server_.WaitUntilCompleted("second"));
  const Seen seen = server_.seen();
  EXPECT_EQ(seen.jobs.at("first").completion->outcome(), End::RETRY);
  EXPECT_EQ(seen.jobs.at("second").completion->outcome(), End::SUCCEEDED);
}

TEST_F(AgentTest, WhatAJobCouldGetIsToldWithEachPollAndHeartbeat) {
  LimitMemory(int64_t{1} << 30);
  StartAgent();
  ASSERT_TRUE(server_.WaitUntil(
      [](const Seen& seen) { return !seen.polls.empty() && !seen.renewals.empty(); }));
  const Seen idle = server_.seen();
  const int64_t most = idle.registers.at(0).job_bytes();
  EXPECT_EQ(most, engine_->job_memory().most_bytes);
  EXPECT_EQ(idle.polls.at(0).memory().free_bytes(), most);

  Train(EndlessLease("job"));

  ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) {
    const pb::JobMemory& told = seen.renewals.back().memory();
    return told.free_bytes() < most && told.bases_in_use_size() == 1 &&
           told.bases_in_use(0).id() == "base-bert" && !told.bases_in_use(0).bf16();
  }));
}

TEST_F(AgentTest, FiguresBesideAReportThatAJobHasItsMemoryCountIt) {
  LimitMemory(int64_t{1} << 30);
  StartAgent();
  Train(EndlessLease("job"));

  const Seen seen = server_.seen();
  const int64_t most = seen.registers.at(0).job_bytes();
  int64_t last = 0;
  bool has_memory = false;
  for (const pb::RenewLeasesRequest& renewal : seen.renewals) {
    EXPECT_GT(renewal.memory().number(), std::exchange(last, renewal.memory().number()));
    has_memory |= renewal.leases_size() == 1 && !renewal.leases(0).resolved_precision().empty();
    EXPECT_TRUE(!has_memory || renewal.memory().free_bytes() < most);
  }
  EXPECT_TRUE(has_memory);
}

TEST_F(AgentTest, AJobsEndComesWithFiguresWithoutIt) {
  LimitMemory(int64_t{1} << 30);
  StartAgent();
  Train(EndlessLease("job"));

  server_.SetDesired("job", v1::CANCELLED);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  EXPECT_EQ(server_.job("job").completion->memory().free_bytes(),
            server_.seen().registers.at(0).job_bytes());
}

TEST_F(AgentTest, AJobThatDoesNotFitIsHandedBackWithWhatItNeeds) {
  LimitMemory(320'000);  // The base and what reading it takes, but no job on it.
  StartAgent();

  server_.Grant(MakeLease("job"));

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  const pb::CompleteLeaseRequest end = *server_.job("job").completion;
  EXPECT_EQ(end.outcome(), End::RELEASED);
  EXPECT_EQ(end.error().details(0).reason(), "MEMORY_FULL");
  EXPECT_GT(end.facts().peak_memory_bytes(), engine_->job_memory().most_bytes);
}

TEST_F(AgentTest, AllLeasesAreRenewedTogether) {
  StartAgent(/*max_jobs=*/2);
  server_.Grant(EndlessLease("first"));
  server_.Grant(EndlessLease("second"));

  EXPECT_TRUE(server_.WaitUntil([](const Seen& seen) {
    return !seen.renewals.empty() && seen.renewals.back().leases_size() == 2;
  }));
}

TEST_F(AgentTest, AVerdictOfCancelledEndsTheJob) {
  StartAgent();
  Train(EndlessLease("job"));

  server_.SetDesired("job", v1::CANCELLED);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  EXPECT_EQ(server_.job("job").completion->outcome(), End::CANCELLED);
}

TEST_F(AgentTest, AVerdictOfPausedEndsTheJobWithACheckpoint) {
  StartAgent();
  Train(EndlessLease("job"));

  server_.SetDesired("job", v1::PAUSED);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  const FakeCoordinator::Job job = server_.job("job");
  EXPECT_EQ(job.completion->outcome(), End::PAUSED);
  EXPECT_GE(job.checkpoint.checkpoint_step(), job.completion->lease().step());
  EXPECT_TRUE(server_.seen().objects.contains(job.checkpoint.checkpoint_key()));
}

TEST_F(AgentTest, ALostLeaseIsDroppedWithoutAWordAndItsSlotIsFree) {
  StartAgent();
  Train(EndlessLease("lost"));

  server_.TakeAway("lost");
  server_.Grant(MakeLease("next"));

  ASSERT_TRUE(server_.WaitUntilCompleted("next"));
  const Seen seen = server_.seen();
  EXPECT_EQ(seen.completions.size(), 1U);
  const std::string of_next = objects::JobPrefix(kTenant, "next");
  for (const std::string& key : seen.puts) EXPECT_TRUE(key.starts_with(of_next)) << key;
}

TEST_F(AgentTest, AVerdictOnAnEarlierLeaseOfTheJobIsNotForThisOne) {
  const pb::Lease earlier = EndlessLease("job");
  StartAgent(/*max_jobs=*/2);
  Train(earlier);

  // The server took it for dead and gives the job to whom it finds: the same worker.
  Train(EndlessLease("job"));
  ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) {
    const auto& leases = seen.renewals.back().leases();
    return leases.size() == 1 && leases.Get(0).token() > earlier.token();
  }));

  EXPECT_TRUE(WaitForTwoMoreRenewals());
  EXPECT_EQ(server_.seen().renewals.back().leases_size(), 1);
  EXPECT_TRUE(server_.seen().completions.empty());
}

TEST_F(AgentTest, DrainGivesLeasesBackWithACheckpoint) {
  StartAgent(/*max_jobs=*/2);
  Train(EndlessLease("first"));
  Train(EndlessLease("second"));

  agent_->Drain(kLongEnough);

  for (const char* id : {"first", "second"}) {
    const FakeCoordinator::Job job = server_.job(id);
    ASSERT_TRUE(job.completion.has_value());
    EXPECT_EQ(job.completion->outcome(), End::RELEASED);
    EXPECT_GE(job.checkpoint.checkpoint_step(), job.completion->lease().step());
    EXPECT_TRUE(server_.seen().objects.contains(job.checkpoint.checkpoint_key()));
  }
}

TEST_F(AgentTest, CheckpointsWhoseReportsDidNotArriveComeWithTheEnd) {
  server_.on_renew = [this](const pb::RenewLeasesRequest& request) {
    const bool brings = request.leases_size() == 1 && !request.leases(0).checkpoint_key().empty();
    if (!brings) return OkStatus();
    ++refused_;
    return UnavailableError("the server restarts");
  };
  StartAgent();
  server_.Grant(EndlessLease("job", [](Hyper& hp) { hp.checkpoint_seconds = 0; }));
  ASSERT_TRUE(server_.WaitUntil([this](const Seen&) { return refused_ >= 2; }));

  agent_->Drain(kLongEnough);

  const FakeCoordinator::Job job = server_.job("job");
  ASSERT_TRUE(job.completion.has_value());
  EXPECT_GE(job.checkpoint.checkpoint_step(), job.completion->lease().step());
  ExpectGapless(EvaluatedSteps(job.events), job.completion->lease().step());
}

TEST_F(AgentTest, AJobEndsAsAskedWhileItsDataAreRead) {
  ASSERT_TRUE(engine_->BaseFingerprint("base-bert").ok());
  StartAgent();
  const auto is_reading = [](const Seen& seen) {
    const auto& last = seen.renewals.back();
    return last.leases_size() == 1 && last.leases(0).activity() > 1000;
  };
  const auto expect_end = [&](const std::string& job, End::Outcome outcome) {
    ASSERT_TRUE(server_.WaitUntilCompleted(job));
    const End end = *server_.job(job).completion;
    EXPECT_EQ(end.outcome(), outcome) << end.error().message();
    EXPECT_EQ(end.lease().resolved_precision(), "") << "it began";
  };

  server_.Grant(LargeLease("cancelled"));
  ASSERT_TRUE(server_.WaitUntil(is_reading));
  server_.SetDesired("cancelled", v1::CANCELLED);
  expect_end("cancelled", End::CANCELLED);

  server_.Grant(LargeLease("drained"));
  ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) {
    return is_reading(seen) && seen.renewals.back().leases(0).job_id() == "drained";
  }));
  agent_->Drain(kLongEnough);
  expect_end("drained", End::RELEASED);
}

TEST_F(AgentTest, ADrainingWorkerSaysSoAndTakesNoMore) {
  StartAgent();
  Train(EndlessLease("job"));
  agent_->Drain(kLongEnough);
  server_.Grant(EndlessLease("late"));

  EXPECT_TRUE(WaitForTwoMoreRenewals());

  EXPECT_TRUE(server_.seen().renewals.back().draining());
  EXPECT_FALSE(server_.job("late").granted);
}

TEST_F(AgentTest, ALeaseThatAnOpenPollBringsWhileDrainingIsGivenBack) {
  StartAgent();
  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return !seen.polls.empty(); }));
  agent_->Drain(std::chrono::milliseconds(0));

  server_.Grant(EndlessLease("job"));

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  EXPECT_EQ(server_.job("job").completion->outcome(), End::RELEASED);
}

TEST_F(AgentTest, ReportsThatDidNotArriveAreDeliveredInOrderAndNothingTwice) {
  server_.on_renew = [this](const pb::RenewLeasesRequest& request) {
    const bool tells = request.leases_size() == 1 && request.leases(0).events_size() > 0;
    return tells && ++refused_ <= 3 ? UnavailableError("the server restarts") : OkStatus();
  };
  StartAgent();
  Train(EndlessLease("job"));

  server_.SetDesired("job", v1::CANCELLED);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  EXPECT_GE(refused_, 3);
  const FakeCoordinator::Job job = server_.job("job");
  ExpectGapless(EvaluatedSteps(job.events), job.completion->lease().step());
}

TEST_F(AgentTest, AForgottenWorkerThatTrainsRegistersAgainAndKeepsItsLease) {
  StartAgent();
  Train(EndlessLease("job"));

  server_.ForgetWorker();

  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return seen.registers.size() >= 2; }));
  ASSERT_TRUE(WaitForTwoMoreRenewals());
  EXPECT_EQ(server_.seen().renewals.back().leases_size(), 1);
  EXPECT_FALSE(server_.job("job").over);
}

TEST_F(AgentTest, AForgottenWorkerThatIsIdleRegistersAgainAndTakesLeases) {
  StartAgent();
  ASSERT_TRUE(server_.WaitUntil([](const Seen& seen) { return !seen.polls.empty(); }));

  server_.ForgetWorker();
  server_.Grant(MakeLease("job"));

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  EXPECT_GE(server_.seen().registers.size(), 2U);
}

TEST_F(AgentTest, AServerThatComesBackFindsTheWorkerAndItsJob) {
  StartAgent();
  Train(EndlessLease("job"));

  server_.Stop();
  server_.Start();
  server_.SetDesired("job", v1::CANCELLED);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  const FakeCoordinator::Job job = server_.job("job");
  EXPECT_EQ(job.completion->outcome(), End::CANCELLED);
  EXPECT_TRUE(server_.WaitUntil([](const Seen& seen) { return seen.registers.size() >= 2; }));
}

TEST_F(AgentTest, AnAgentThatIsDestroyedLeavesItsJobsToTheirLeases) {
  StartAgent();
  Train(EndlessLease("job"));

  agent_.reset();

  EXPECT_TRUE(server_.seen().completions.empty());
  EXPECT_EQ(engine_->figures().training_jobs, 0);
}

}  // namespace
}  // namespace graft::worker::agent
