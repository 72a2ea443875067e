#include "server/core/kept_checkpoints.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class KeptCheckpointsTest : public CoreFixture {
 protected:
  static CheckpointToKeep At(const Job& job, int64_t step, int most = 2) {
    CheckpointToKeep checkpoint;
    checkpoint.key = job.key;
    checkpoint.token = job.lease.token;
    checkpoint.step = step;
    checkpoint.most = most;
    checkpoint.version.sha256 = HashOf(step);
    checkpoint.version.artifact_prefix = "kept/" + std::to_string(step) + "/";
    checkpoint.version.bytes = 100 + step;
    return checkpoint;
  }
  static std::string HashOf(int64_t step) {
    return std::string(62, 'c') + std::to_string(10 + step % 90);
  }
  StatusOr<Kept> Keep(const CheckpointToKeep& checkpoint) {
    return Do([&](Transaction& tx) { return KeepCheckpoint(tx, checkpoint); });
  }
  /// Steps of the adapter's versions that are kept checkpoints, newest first; -1 for any other.
  std::vector<int64_t> Steps() {
    auto versions =
        Do([](Transaction& tx) { return tx.ListVersions("default", "support", 0, 1000); });
    EXPECT_TRUE(versions.ok()) << versions.status();
    std::vector<int64_t> steps;
    for (const Version& version : *versions)
      steps.push_back(version.checkpoint_step == 0 ? -1 : version.checkpoint_step);
    return steps;
  }
  StatusOr<Version> Resolve(const std::string& name) {
    return Do([&](Transaction& tx) { return ResolveVersion(tx, "default", name); });
  }
  void Point(const std::string& alias, int64_t number) {
    const auto pointed =
        Do([&](Transaction& tx) { return SetAlias(tx, "default", "support", alias, number); });
    ASSERT_TRUE(pointed.ok()) << pointed.status();
  }
  /// Loses the lease and takes the next.
  Job Resumed(const Job& job) {
    EXPECT_TRUE(Expire(job.lease.worker).ok());
    return Acquire().at(0);
  }
};

TEST_F(KeptCheckpointsTest, ACheckpointBecomesAVersionAndAnEventSaysSo) {
  const Job job = Running();
  CheckpointToKeep checkpoint = At(job, 10);
  checkpoint.version.evaluations = {{5, "validation", 20, 0.5, {}},
                                    {10, "validation", 20, 0.4, {}}};
  clock_.Advance(kSecond);

  const auto kept = Keep(checkpoint);

  ASSERT_TRUE(kept.ok()) << kept.status();
  const auto version = Resolve("support@1");
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->checkpoint_step, 10);
  EXPECT_EQ(version->kept_step, 10);
  EXPECT_EQ(version->job_id, job.key.id);
  EXPECT_EQ(version->base, job.base);
  EXPECT_TRUE(version->base_proved);
  EXPECT_EQ(version->create_time, clock_.Now());
  const JobEvent event = Events(job.key).back();
  EXPECT_EQ(event.kind, EventKind::kCheckpoint);
  EXPECT_EQ(event.text, "adapters/support/versions/1");
  EXPECT_EQ(event.sha256, HashOf(10));
  EXPECT_EQ(event.checkpoint_step, 10);
  EXPECT_EQ(event.checkpoint_bytes, 110);
  EXPECT_EQ(event.evaluation.loss, 0.4);
  EXPECT_EQ(KeptThrough(Get(job.key)), 10);
}

TEST_F(KeptCheckpointsTest, ACheckpointThatWasNotEvaluatedHasNoFigures) {
  const Job job = Running();
  CheckpointToKeep checkpoint = At(job, 10);
  checkpoint.version.evaluations = {{5, "validation", 20, 0.5, {}}, {10, "test", 20, 0.4, {}}};

  ASSERT_TRUE(Keep(checkpoint).ok());

  EXPECT_EQ(Events(job.key).back().evaluation.step, 0);
}

TEST_F(KeptCheckpointsTest, OnlyTheLastOnesStay) {
  const Job job = Running();

  for (const int64_t step : {10, 20, 30, 40}) ASSERT_TRUE(Keep(At(job, step)).ok());

  EXPECT_THAT(Steps(), ElementsAre(40, 30));
  EXPECT_EQ(Resolve("support@1").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support@4")->checkpoint_step, 40);
}

TEST_F(KeptCheckpointsTest, AStepThatIsToldAgainChangesNothing) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10)).ok());
  ASSERT_TRUE(Keep(At(job, 20)).ok());
  const int64_t revision = Get(job.key).revision;
  const Job resumed = Resumed(job);

  // Its checkpoint was of a step before both; what it makes has other bytes, say.
  CheckpointToKeep again = At(resumed, 10);
  again.version.sha256 = std::string(64, 'd');
  const auto earlier = Keep(again);
  const auto same = Keep(At(resumed, 20));

  ASSERT_TRUE(earlier.ok() && same.ok());
  EXPECT_FALSE(earlier->made || same->made);
  EXPECT_THAT(Steps(), ElementsAre(20, 10));
  EXPECT_EQ(Resolve("support@1")->sha256, HashOf(10));
  EXPECT_EQ(Get(job.key).revision, revision + 2) << "the lease's end and the grant";
  ASSERT_TRUE(Keep(At(resumed, 30)).ok());
  EXPECT_THAT(Steps(), ElementsAre(30, 20));
}

TEST_F(KeptCheckpointsTest, AnOldTokenKeepsNothing) {
  const Job job = Running();
  const Job resumed = Resumed(job);

  EXPECT_EQ(Keep(At(job, 10)).status().code(), StatusCode::kAborted);

  EXPECT_EQ(Get(job.key).num_events, resumed.num_events);
  EXPECT_FALSE(Resolve("support@1").ok());
  ASSERT_TRUE(Complete(Ended(resumed, Outcome::kFailed)).ok());
  EXPECT_EQ(Keep(At(resumed, 10)).status().code(), StatusCode::kAborted) << "it is over";
  ASSERT_TRUE(Do([&](Transaction& tx) { return DeleteJob(tx, job.key); }).ok());
  EXPECT_EQ(Keep(At(resumed, 10)).status().code(), StatusCode::kAborted) << "it is gone";
}

TEST_F(KeptCheckpointsTest, AJobThatKeepsNoneIsRefused) {
  const auto refused = Keep(At(Running(), 10, /*most=*/0));

  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(KeptCheckpointsTest, WhatAnAliasPointsAtStaysAndGoesWithTheNextOnceItDoesNot) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10, 1)).ok());
  Point("canary", 1);

  ASSERT_TRUE(Keep(At(job, 20, 1)).ok());
  ASSERT_TRUE(Keep(At(job, 30, 1)).ok());
  EXPECT_THAT(Steps(), ElementsAre(30, 10));

  ASSERT_TRUE(Do([&](Transaction& tx) -> StatusOr<Adapter> {
                GRAFT_ASSIGN_OR_RETURN(Adapter adapter, tx.GetAdapter("default", "support"));
                adapter.aliases.clear();
                GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
                return adapter;
              }).ok());
  ASSERT_TRUE(Keep(At(job, 40, 1)).ok());
  EXPECT_THAT(Steps(), ElementsAre(40));
  EXPECT_EQ(Get(job.key).kept.size(), 1U);
}

TEST_F(KeptCheckpointsTest, WhatCouldBeRolledBackToStays) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10)).ok());
  ASSERT_TRUE(Keep(At(job, 20)).ok());
  Point("live", 1);
  Point("live", 2);

  for (const int64_t step : {30, 40, 50}) ASSERT_TRUE(Keep(At(job, step)).ok());

  EXPECT_THAT(Steps(), ElementsAre(50, 40, 20, 10));
  const auto back = Do([](Transaction& tx) { return Rollback(tx, "default", "support", "live"); });
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Resolve("support")->checkpoint_step, 10);
}

TEST_F(KeptCheckpointsTest, TheResultIsWhatLatestMeansAndPromoteMakesLive) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10)).ok());
  EXPECT_THAT(Resolve("support@latest").status().message(), HasSubstr("kept checkpoints"));
  EXPECT_FALSE(Resolve("support").ok());
  Completion end = Ended(job, Outcome::kSucceeded);
  end.promote = true;
  ASSERT_TRUE(Complete(end).ok());
  const Job next = Running();
  for (int64_t step = 1; step <= 20; ++step) ASSERT_TRUE(Keep(At(next, step, 20)).ok());

  EXPECT_EQ(Resolve("support@latest")->number, 2);
  EXPECT_EQ(Resolve("support")->number, 2);
  EXPECT_EQ(Resolve("support")->checkpoint_step, 0);
}

TEST_F(KeptCheckpointsTest, WhatIsKeptOutlivesTheJobHoweverItEnds) {
  for (const Outcome outcome : {Outcome::kFailed, Outcome::kCancelled, Outcome::kSucceeded}) {
    const Job job = Running();
    ASSERT_TRUE(Keep(At(job, 10)).ok());
    if (outcome == Outcome::kCancelled) {
      ASSERT_TRUE(Cancel(job.key).ok());
    }
    ASSERT_TRUE(Complete(Ended(job, outcome)).ok());
    ASSERT_TRUE(Do([&](Transaction& tx) { return DeleteJob(tx, job.key); }).ok());
  }

  EXPECT_THAT(Steps(), ElementsAre(-1, 10, 10, 10));
}

TEST_F(KeptCheckpointsTest, WhatTheUserDeletedIsNotMadeAgain) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10)).ok());
  ASSERT_TRUE(Do([&](Transaction& tx) { return DeleteVersion(tx, "default", "support", 1); }).ok());

  ASSERT_TRUE(Keep(At(Resumed(job), 10)).ok());

  EXPECT_THAT(Steps(), IsEmpty());
}

TEST_F(KeptCheckpointsTest, AnAdapterThatWasMadeAnewKeepsItsOwnVersions) {
  const Job job = Running();
  ASSERT_TRUE(Keep(At(job, 10, 1)).ok());
  ASSERT_TRUE(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).ok());
  Version imported;
  imported.tenant = "default";
  imported.adapter = "support";
  imported.base = job.base;
  imported.sha256 = std::string(64, 'e');
  ASSERT_TRUE(Do([&](Transaction& tx) { return ImportVersion(tx, imported); }).ok());

  ASSERT_TRUE(Keep(At(job, 20, 1)).ok());

  EXPECT_THAT(Steps(), ElementsAre(20, -1)) << "the import has the number of what was kept first";
}

TEST_F(KeptCheckpointsTest, AnAdapterOfAnotherBaseTakesNone) {
  const Job job = Running();
  Version other;
  other.tenant = "default";
  other.adapter = "support";
  other.base = "gpt2";
  other.sha256 = std::string(64, 'e');
  ASSERT_TRUE(Do([&](Transaction& tx) { return ImportVersion(tx, other); }).ok());

  EXPECT_EQ(Keep(At(job, 10)).status().code(), StatusCode::kFailedPrecondition);

  EXPECT_EQ(Get(job.key).num_events, job.num_events);
}

}  // namespace
}  // namespace graft::server::core
