/// What happens around a worker that it didn't ask for: memory that runs out in one job, bases that
/// come, change and go on its disk.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>

#include "common/base/failpoint.h"
#include "tests/worker/agent/agent_case.h"
#include "worker/agent/agent.h"
#include "worker/agent/task_threads.h"

namespace graft::worker::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using End = pb::CompleteLeaseRequest;

class ResilienceTest : public RunningAgentCase {
 protected:
  ~ResilienceTest() override { EXPECT_TRUE(ArmFailpoints("").ok()); }
  /// An engine over a folder that the test may change, with the base that jobs ask for in it.
  void UseOwnBases() {
    fs::create_directories(bases());
    fs::copy(GRAFT_SOURCE_DIR "/tests/golden/data/base-bert", bases() / "base-bert");
    engine::EngineOptions options;
    options.bases = bases();
    options.threads = 2;
    engine_ = std::move(engine::Engine::Create(std::move(options))).value();
  }
  fs::path bases() const { return folder_.path() / "bases"; }
  static std::vector<std::string> LastTold(const Seen& seen) {
    if (seen.renewals.empty() || !seen.renewals.back().has_bases()) return {};
    const auto& ids = seen.renewals.back().bases().ids();
    return {ids.begin(), ids.end()};
  }
};

TEST_F(ResilienceTest, MemoryThatRunsOutInOneJobEndsThatJobAloneAndSaysWhoseFaultItWas) {
  ASSERT_TRUE(ArmFailpoints("worker.before_tokenize=throw@2").ok());
  StartAgent(/*max_jobs=*/2);
  server_.Grant(EndlessLease("bystander"));
  ASSERT_TRUE(server_.WaitUntil(
      [](const Seen& seen) { return !EvaluatedSteps(seen.jobs.at("bystander").events).empty(); }));

  server_.Grant(MakeLease("unlucky"));
  ASSERT_TRUE(server_.WaitUntilCompleted("unlucky"));
  const pb::CompleteLeaseRequest end = *server_.job("unlucky").completion;
  server_.Grant(MakeLease("lucky"));
  ASSERT_TRUE(server_.WaitUntilCompleted("lucky"));

  EXPECT_EQ(end.outcome(), End::RETRY);
  EXPECT_EQ(end.error().fault(), "WORKER");
  EXPECT_THAT(end.error().message(), HasSubstr("out of memory"));
  EXPECT_EQ(server_.job("lucky").completion->outcome(), End::SUCCEEDED);
  EXPECT_FALSE(server_.job("bystander").over);
}

TEST_F(ResilienceTest, WhatAJobThrowsBeforeItsDataAreFetchedEndsThatJobAlone) {
  ASSERT_TRUE(ArmFailpoints("worker.after_lease_acquired=throw").ok());
  StartAgent();
  server_.Grant(MakeLease("unlucky"));
  server_.Grant(MakeLease("lucky"));

  ASSERT_TRUE(server_.WaitUntilCompleted("unlucky"));
  ASSERT_TRUE(server_.WaitUntilCompleted("lucky"));

  EXPECT_EQ(server_.job("unlucky").completion->outcome(), End::RETRY);
  EXPECT_EQ(server_.job("lucky").completion->outcome(), End::SUCCEEDED);
}

TEST_F(ResilienceTest, WhatStoringACheckpointThrowsIsAWarning) {
  ASSERT_TRUE(ArmFailpoints("worker.before_checkpoint_stored=throw").ok());
  StartAgent();
  server_.Grant(MakeLease("job", [](Hyper& hp) { hp.checkpoint_seconds = 0; }));

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));

  const FakeCoordinator::Job job = server_.job("job");
  EXPECT_EQ(job.completion->outcome(), End::SUCCEEDED);
  EXPECT_THAT(Warnings(job.events), ::testing::Contains(HasSubstr("out of memory")));
}

TEST_F(ResilienceTest, ATaskThatThrowsIsToldToWhoWaitsAndTheNextRuns) {
  TaskThreads threads(1);
  std::promise<Status> failed;
  std::promise<void> next;

  threads.Post([] { throw std::bad_alloc(); },
               [&](const Status& status) { failed.set_value(status); });
  threads.Post([&] { next.set_value(); }, [](const Status&) {});

  EXPECT_EQ(failed.get_future().get().code(), StatusCode::kResourceExhausted);
  next.get_future().wait();
}

TEST_F(ResilienceTest, BasesThatComeAndGoAreToldWithTheHeartbeat) {
  UseOwnBases();
  StartAgent();
  ASSERT_TRUE(server_.WaitUntil(
      [](const Seen& seen) { return LastTold(seen) == std::vector<std::string>{"base-bert"}; }));

  fs::copy(bases() / "base-bert", bases() / "late");
  EXPECT_TRUE(server_.WaitUntil([](const Seen& seen) {
    return LastTold(seen) == std::vector<std::string>{"base-bert", "late"};
  }));

  fs::remove_all(bases() / "base-bert");
  EXPECT_TRUE(server_.WaitUntil(
      [](const Seen& seen) { return LastTold(seen) == std::vector<std::string>{"late"}; }));
  agent_.reset();
}

TEST_F(ResilienceTest, AReplacedBaseLeavesMemoryWithinSecondsAndItsJobsSayWhy) {
  UseOwnBases();
  const std::string fingerprint = engine_->BaseFingerprint("base-bert").value();
  StartAgent();
  const auto resident = [](const Seen& seen) {
    return seen.renewals.empty() ? -1 : seen.renewals.back().resident_size();
  };
  ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) { return resident(seen) == 1; }));

  {
    std::fstream file(bases() / "base-bert" / "model.safetensors",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    file << std::string(4, '\0');
  }
  ASSERT_TRUE(server_.WaitUntil([&](const Seen& seen) { return resident(seen) == 0; }));
  pb::Lease lease = MakeLease("job");
  lease.set_base_fingerprint(fingerprint);
  server_.Grant(lease);

  ASSERT_TRUE(server_.WaitUntilCompleted("job"));
  const pb::CompleteLeaseRequest end = *server_.job("job").completion;
  EXPECT_EQ(end.outcome(), End::FAILED);
  EXPECT_EQ(end.error().fault(), "JOB");
  EXPECT_EQ(end.error().details(0).reason(), "BASE_CHANGED");
  agent_.reset();
}

}  // namespace
}  // namespace graft::worker::agent
