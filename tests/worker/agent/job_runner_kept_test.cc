/// Checkpoints that a job keeps as versions: stored, proved and told in their order, and none lost
/// with the worker.

#include <gmock/gmock.h>

#include <google/protobuf/util/message_differencer.h>

#include <thread>

#include "common/objects/keys.h"
#include "tests/worker/agent/job_runner_case.h"

namespace graft::worker::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JobRunnerKeptTest : public JobRunnerCase {
 protected:
  /// kSteps steps, each of them kept.
  pb::Lease KeepingLease(int most = 100, int64_t checkpoint_seconds = 3600) {
    return MakeLease("job", [=](Hyper& hp) {
      hp.keep_checkpoints = most;
      hp.checkpoint_seconds = checkpoint_seconds;
    });
  }
  std::vector<int64_t> KeptSteps() {
    std::vector<int64_t> steps;
    for (const pb::KeepCheckpointRequest& kept : server_.job("job").kept)
      steps.push_back(kept.step());
    return steps;
  }
  /// Until then checkpoints come.
  void AwaitTrained() {
    const auto give_up = std::chrono::steady_clock::now() + kLongEnough;
    while (engine_->figures().training_jobs > 0 && std::chrono::steady_clock::now() < give_up)
      std::this_thread::yield();
  }
};

bool IsKept(const std::string& key) { return key.find("/kept/") != std::string::npos; }

TEST_F(JobRunnerKeptTest, EachIsStoredProvedAndTold) {
  const pb::Lease lease = KeepingLease();

  const End end = RunToEnd(lease);

  ASSERT_EQ(end.outcome(), End::SUCCEEDED) << end.error().message();
  EXPECT_EQ(KeptSteps(), Range(1, kSteps));
  for (const pb::KeepCheckpointRequest& kept : server_.job("job").kept) {
    EXPECT_EQ(kept.artifact_prefix(),
              objects::KeptPrefix(kTenant, "job", lease.token(), kept.step()));
    EXPECT_EQ(LoadStored(kept.artifact_prefix(), kept.version_sha256()), OkStatus());
    EXPECT_EQ(kept.base_fingerprint(), end.base_fingerprint());
    EXPECT_EQ(kept.evaluations_size(), kept.step());
    EXPECT_EQ(kept.evaluations(kept.evaluations_size() - 1).step(), kept.step());
    EXPECT_EQ(kept.label_names_size(), 3);
    EXPECT_EQ(kept.max_length(), end.max_length());
    EXPECT_GT(kept.artifact_bytes(), 0);
    EXPECT_GT(kept.parameters(), 0);
  }
  EXPECT_EQ(server_.job("job").kept.back().version_sha256(), end.version_sha256());
}

TEST_F(JobRunnerKeptTest, OnlyTheResultTakesUpMemory) {
  const End end = RunToEnd(KeepingLease());

  EXPECT_TRUE(engine_->IsResident(end.version_sha256()));
  EXPECT_EQ(engine_->figures().adapters_resident, 1);
}

TEST_F(JobRunnerKeptTest, WhatEarlierAttemptsKeptIsNotMadeAgain) {
  pb::Lease lease = KeepingLease();
  lease.set_kept_checkpoint_step(4);

  ASSERT_EQ(RunToEnd(lease).outcome(), End::SUCCEEDED);

  EXPECT_EQ(KeptSteps(), Range(5, kSteps));
}

TEST_F(JobRunnerKeptTest, NoLaterCheckpointToResumeFromIsToldBeforeOneIsKept) {
  std::vector<int64_t> told;
  server_.on_keep = [&](const pb::KeepCheckpointRequest& request) {
    AwaitTrained();
    pb::LeaseStatus report = runner().TakeReport();
    if (report.checkpoint_step() > request.step()) told.push_back(report.checkpoint_step());
    runner().PutBack(std::move(report));
    return OkStatus();
  };

  const End end = RunToEnd(KeepingLease(/*most=*/100, /*checkpoint_seconds=*/0));

  ASSERT_EQ(end.outcome(), End::SUCCEEDED) << end.error().message();
  EXPECT_EQ(KeptSteps(), Range(1, kSteps));
  EXPECT_THAT(told, IsEmpty());
  EXPECT_GT(end.lease().checkpoint_step(), 1) << "in the end it is told";
}

TEST_F(JobRunnerKeptTest, OfThoseThatWaitForASlowStoreAndAreLargeOnlyTheLastOnesAreKept) {
  max_waiting_bytes_ = 0;
  server_.on_keep = [&](const pb::KeepCheckpointRequest&) {
    AwaitTrained();
    return OkStatus();
  };

  ASSERT_EQ(RunToEnd(KeepingLease(/*most=*/2)).outcome(), End::SUCCEEDED);

  const std::vector<int64_t> steps = KeptSteps();
  ASSERT_LE(steps.size(), 3U) << "what waits is bounded";
  ASSERT_GE(steps.size(), 2U);
  EXPECT_THAT(std::vector<int64_t>(steps.end() - 2, steps.end()), ElementsAre(kSteps - 1, kSteps));
}

TEST_F(JobRunnerKeptTest, AllThatWaitForASlowStoreAreKeptInTheirOrder) {
  server_.on_keep = [&](const pb::KeepCheckpointRequest&) {
    AwaitTrained();
    return OkStatus();
  };

  ASSERT_EQ(RunToEnd(KeepingLease(/*most=*/1)).outcome(), End::SUCCEEDED);

  EXPECT_EQ(KeptSteps(), Range(1, kSteps));
}

TEST_F(JobRunnerKeptTest, AServerThatIsAwayIsAskedAgain) {
  int puts = 0, keeps = 0;
  server_.on_put = [&](const std::string& key) {
    return IsKept(key) && ++puts == 2 ? UnavailableError("the server restarts") : OkStatus();
  };
  server_.on_keep = [&](const pb::KeepCheckpointRequest&) {
    return ++keeps <= 2 ? UnavailableError("the server restarts") : OkStatus();
  };

  EXPECT_EQ(RunToEnd(KeepingLease()).outcome(), End::SUCCEEDED);

  EXPECT_EQ(KeptSteps(), Range(1, kSteps));
  const auto asked = server_.seen().keeps;
  ASSERT_GE(asked.size(), 3U);
  for (const size_t i : {1, 2})
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(asked[i], asked[0]));
}

TEST_F(JobRunnerKeptTest, OneThatCannotBeStoredEndsTheAttemptInFrontOfIt) {
  server_.on_put = [](const std::string& key) {
    return key.find("/kept/3/") != std::string::npos ? InternalError("a bug") : OkStatus();
  };

  const End end = RunToEnd(KeepingLease(/*most=*/100, /*checkpoint_seconds=*/0));

  EXPECT_EQ(end.outcome(), End::RETRY);
  EXPECT_THAT(end.error().message(), HasSubstr("a bug"));
  EXPECT_EQ(KeptSteps(), Range(1, 2));
  EXPECT_LE(end.lease().checkpoint_step(), 3) << "the next attempt must make it";
  EXPECT_EQ(engine_->figures().training_jobs, 0);
}

TEST_F(JobRunnerKeptTest, AnAdapterThatIsAnothersNowFailsTheJob) {
  server_.on_keep = [](const pb::KeepCheckpointRequest&) {
    return FailedPreconditionError("adapter test is one of base gpt2");
  };

  const End end = RunToEnd(KeepingLease());

  EXPECT_EQ(end.outcome(), End::FAILED);
  EXPECT_EQ(end.error().fault(), "JOB");
}

TEST_F(JobRunnerKeptTest, ALeaseThatIsOverWritesNothingMore) {
  server_.on_keep = [](const pb::KeepCheckpointRequest&) {
    return AbortedError("the lease is over");
  };

  Run(KeepingLease(/*most=*/100, /*checkpoint_seconds=*/0));

  ASSERT_TRUE(WaitUntilDone());
  const Seen seen = server_.seen();
  EXPECT_EQ(seen.keeps.size(), 1U);
  EXPECT_THAT(seen.completions, IsEmpty());
  size_t kept_files = 0;
  for (const std::string& key : seen.puts)
    if (IsKept(key) && key.find("/kept/1/") == std::string::npos) ++kept_files;
  EXPECT_EQ(kept_files, 0U);
}

TEST_F(JobRunnerKeptTest, APausedJobHasKeptWhatItPassed) {
  const pb::Lease lease = EndlessLease("job", [](Hyper& hp) {
    hp.keep_checkpoints = 100;
    hp.evaluations_per_epoch = 1;
  });

  const End end = RunToEnd(lease, [&] {
    if (!server_.job("job").kept.empty()) runner_->SetDesired(v1::PAUSED);
  });

  EXPECT_EQ(end.outcome(), End::PAUSED);
  const std::vector<int64_t> steps = KeptSteps();
  const int64_t reached = end.lease().checkpoint_step();
  // One that was due at the very step stays due for the next attempt.
  EXPECT_GE(static_cast<int64_t>(steps.size()), (reached - 1) / kSteps);
  for (size_t i = 0; i < steps.size(); ++i)
    EXPECT_EQ(steps[i], static_cast<int64_t>(i + 1) * kSteps);
}

}  // namespace
}  // namespace graft::worker::agent
