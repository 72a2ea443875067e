/// A lease's life against a real engine: how it ends, what it stores, and that it stops writing
/// when the lease is another's.

#include "worker/agent/job_runner.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include <future>

#include "common/datasets/dataset.h"
#include "common/objects/keys.h"
#include "tests/worker/agent/job_runner_case.h"

namespace graft::worker::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class JobRunnerTest : public JobRunnerCase {
 protected:
  /// Stores other data for the lease.
  void SetData(pb::Lease& lease, const std::string& bytes) {
    lease.set_dataset_sha256(Sha256Hex(bytes));
    server_.Store(objects::DatasetKey(kTenant, lease.dataset_sha256()), bytes);
  }
  /// The report names a checkpoint behind the first step, and the store has it.
  void ExpectStoredCheckpoint(const pb::LeaseStatus& report) {
    const Seen seen = server_.seen();
    const auto stored = seen.objects.find(report.checkpoint_key());
    ASSERT_NE(stored, seen.objects.end()) << report.checkpoint_key();
    EXPECT_EQ(Sha256Hex(stored->second), report.checkpoint_sha256());
    EXPECT_EQ(
        report.checkpoint_key(),
        objects::CheckpointKey(kTenant, report.job_id(), report.token(), report.checkpoint_step()));
    EXPECT_GE(report.checkpoint_step(), report.step());
    EXPECT_GE(report.step(), 1);
  }
};

bool IsCheckpoint(const std::string& key) { return key.find("/checkpoints/") != std::string::npos; }
bool IsArtifact(const std::string& key) { return key.find("/artifact/") != std::string::npos; }

TEST_F(JobRunnerTest, ATrainedJobSucceedsWithAVersionThatIsServedAndStored) {
  const pb::Lease lease = MakeLease("job");

  const End end = RunToEnd(lease);

  ASSERT_EQ(end.outcome(), End::SUCCEEDED) << end.error().message();
  EXPECT_EQ(end.artifact_prefix(), objects::ArtifactPrefix(kTenant, "job", lease.token()));
  EXPECT_TRUE(engine_->IsResident(end.version_sha256()));
  engine_->Unload(end.version_sha256());
  EXPECT_EQ(LoadStored(end.artifact_prefix(), end.version_sha256()), OkStatus());
}

TEST_F(JobRunnerTest, ASuccessTellsWhatWasMade) {
  const End end = RunToEnd(MakeLease("job"));

  const auto files = objects_->GetVersion(end.artifact_prefix());
  ASSERT_TRUE(files.ok()) << files.status();
  int64_t bytes = 0;
  for (const auto& [name, content] : *files) bytes += static_cast<int64_t>(content.size());
  EXPECT_EQ(end.artifact_bytes(), bytes);
  EXPECT_EQ(end.base_fingerprint(), *engine_->BaseFingerprint("base-bert"));
  EXPECT_THAT(end.label_names(), ElementsAre("negative", "neutral", "positive"));
  EXPECT_EQ(end.facts().total_steps(), kSteps);
  EXPECT_EQ(end.evaluations_size(), kSteps);
  EXPECT_EQ(EvaluatedSteps(end.lease().events()), Range(1, kSteps));
  EXPECT_EQ(end.lease().step(), kSteps);
  EXPECT_EQ(end.lease().resolved_precision(), "fp32");
  EXPECT_GT(end.lease().activity(), kSteps);
}

TEST_F(JobRunnerTest, AStoreThatIsAwayGivesTheJobBackForAnotherTry) {
  server_.on_get = [](const std::string&) { return UnavailableError("the store is away"); };

  const End end = RunToEnd(MakeLease("job"));

  EXPECT_EQ(end.outcome(), End::RETRY);
  EXPECT_EQ(proto::FromErrorInfo(end.error()).code(), StatusCode::kUnavailable);
}

TEST_F(JobRunnerTest, ASpecThatCannotBeReadFailsTheJob) {
  pb::Lease lease = MakeLease("job");
  lease.set_spec_json(lease.spec_json().substr(0, lease.spec_json().size() / 2));

  const End end = RunToEnd(lease);

  EXPECT_EQ(end.outcome(), End::FAILED);
  EXPECT_EQ(proto::FromErrorInfo(end.error()).code(), StatusCode::kInvalidArgument);
}

TEST_F(JobRunnerTest, DataThatAreGoneFailTheJob) {
  const pb::Lease lease = MakeLease("job");
  server_.Erase(objects::DatasetKey(kTenant, lease.dataset_sha256()));

  const End end = RunToEnd(lease);

  EXPECT_EQ(end.outcome(), End::FAILED);
  EXPECT_EQ(proto::FromErrorInfo(end.error()).code(), StatusCode::kNotFound);
}

TEST_F(JobRunnerTest, DataThatCannotBeTrainedOnFailTheJobWithTheReason) {
  pb::Lease lease = MakeLease("job");
  datasets::IngestedDataset unlabelled;
  unlabelled.label_names = {"negative", "positive"};
  unlabelled.train = {{"w1", "", 0}, {"w2", "", -1}};
  SetData(lease, datasets::Serialize(unlabelled));

  const End end = RunToEnd(lease);

  EXPECT_EQ(end.outcome(), End::FAILED);
  ASSERT_EQ(end.error().details_size(), 1);
  EXPECT_EQ(end.error().details(0).reason(), "LABEL_MISSING");
}

TEST_F(JobRunnerTest, DataThatAreNotWhatTheirRowNamesAreTheMachinesFault) {
  const pb::Lease altered = MakeLease("altered");
  pb::Lease torn = MakeLease("torn");
  server_.Store(objects::DatasetKey(kTenant, altered.dataset_sha256()), "other bytes");
  SetData(torn, "{\"format\":");

  const End altered_end = RunToEnd(altered);
  const End torn_end = RunToEnd(torn);

  EXPECT_EQ(altered_end.outcome(), End::RETRY);
  EXPECT_EQ(torn_end.outcome(), End::RETRY);
  EXPECT_EQ(proto::FromErrorInfo(altered_end.error()).code(), StatusCode::kDataLoss);
  EXPECT_EQ(proto::FromErrorInfo(torn_end.error()).code(), StatusCode::kDataLoss);
}

TEST_F(JobRunnerTest, AMissingOrAlteredCheckpointLetsTheJobBeginAnewWithAWarning) {
  for (const bool missing : {true, false}) {
    pb::Lease lease = MakeLease("job");
    lease.set_checkpoint_key(objects::CheckpointKey(kTenant, "job", 0, 3));
    lease.set_checkpoint_sha256(Sha256Hex("a checkpoint"));
    if (!missing) server_.Store(lease.checkpoint_key(), "another");

    const End end = RunToEnd(lease);

    EXPECT_EQ(end.outcome(), End::SUCCEEDED) << end.error().message();
    EXPECT_THAT(Warnings(end.lease().events()), ElementsAre(HasSubstr("begins anew")));
    EXPECT_EQ(EvaluatedSteps(end.lease().events()), Range(1, kSteps));
    server_.Erase(lease.checkpoint_key());
  }
}

TEST_F(JobRunnerTest, ACheckpointThatCannotBeReachedNowIsNotGivenUp) {
  pb::Lease lease = MakeLease("job");
  lease.set_checkpoint_key(objects::CheckpointKey(kTenant, "job", 0, 3));
  server_.on_get = [](const std::string& key) {
    return IsCheckpoint(key) ? UnavailableError("the store is away") : OkStatus();
  };

  EXPECT_EQ(RunToEnd(lease).outcome(), End::RETRY);
}

TEST_F(JobRunnerTest, AStoredCheckpointIsResumedAtItsStep) {
  // The first news is of step 1; the engine goes on when it was told.
  const End released = RunToEnd(MakeLease("job"), [&] { runner_->Release(); });
  ASSERT_EQ(released.lease().checkpoint_step(), 1);
  pb::Lease next = MakeLease("job");
  next.set_checkpoint_key(released.lease().checkpoint_key());
  next.set_checkpoint_sha256(released.lease().checkpoint_sha256());

  const End resumed = RunToEnd(next);

  std::vector<int64_t> evaluated = EvaluatedSteps(released.lease().events());
  for (const int64_t step : EvaluatedSteps(resumed.lease().events())) evaluated.push_back(step);
  EXPECT_EQ(evaluated, Range(1, kSteps));
  for (const v1::JobEvent& event : resumed.lease().events()) EXPECT_NE(event.progress().step(), 1);
  EXPECT_THAT(Warnings(resumed.lease().events()), IsEmpty());
  const End undisturbed = RunToEnd(MakeLease("job"));
  EXPECT_EQ(resumed.version_sha256(), undisturbed.version_sha256());
}

TEST_F(JobRunnerTest, AJobContinuesTheVersionThatItsLeaseNames) {
  const End first = RunToEnd(MakeLease("first"));
  pb::Lease lease = MakeLease("next");
  lease.set_init_from_prefix(first.artifact_prefix());

  const End next = RunToEnd(lease);

  EXPECT_EQ(next.outcome(), End::SUCCEEDED) << next.error().message();
  EXPECT_NE(next.version_sha256(), first.version_sha256());
}

TEST_F(JobRunnerTest, AVersionToContinueThatIsGoneFailsTheJobAtItsField) {
  pb::Lease lease = MakeLease("job");
  lease.set_init_from_prefix(objects::ArtifactPrefix(kTenant, "gone", 1));

  const End end = RunToEnd(lease);

  EXPECT_EQ(end.outcome(), End::FAILED);
  ASSERT_GE(end.error().details_size(), 1);
  EXPECT_EQ(end.error().details(0).field(), "spec.init_from");
  EXPECT_EQ(end.error().fault(), "STORE");
}

TEST_F(JobRunnerTest, ACancelledJobEndsWithoutACheckpoint) {
  const End end = RunToEnd(EndlessLease("job"), [&] { runner_->SetDesired(v1::CANCELLED); });

  EXPECT_EQ(end.outcome(), End::CANCELLED);
  EXPECT_THAT(server_.seen().puts, IsEmpty());
}

TEST_F(JobRunnerTest, APausedJobEndsWithACheckpoint) {
  const End end = RunToEnd(EndlessLease("job"), [&] { runner_->SetDesired(v1::PAUSED); });

  EXPECT_EQ(end.outcome(), End::PAUSED);
  ExpectStoredCheckpoint(end.lease());
}

TEST_F(JobRunnerTest, AReleasedJobEndsWithACheckpoint) {
  const End end = RunToEnd(EndlessLease("job"), [&] { runner_->Release(); });

  EXPECT_EQ(end.outcome(), End::RELEASED);
  ExpectStoredCheckpoint(end.lease());
}

TEST_F(JobRunnerTest, ALeaseLostWhileACheckpointIsStoredWritesNothingMore) {
  const pb::Lease lease = EndlessLease("job", [](Hyper& hp) { hp.checkpoint_seconds = 0; });
  server_.on_put = [this](const std::string&) {
    runner().SetLost();
    return OkStatus();
  };

  Run(lease);

  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(server_.seen().puts.size(), 1U);
  EXPECT_THAT(server_.seen().completions, IsEmpty());
  EXPECT_TRUE(runner().failure().ok());
}

TEST_F(JobRunnerTest, ALeaseLostWhileItsArtifactIsStoredWritesNothingMore) {
  server_.on_put = [this](const std::string&) {
    runner().SetLost();
    return OkStatus();
  };

  Run(MakeLease("job"));

  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(server_.seen().puts.size(), 1U);
  EXPECT_THAT(server_.seen().completions, IsEmpty());
  EXPECT_TRUE(runner().failure().ok());
}

TEST_F(JobRunnerTest, ACheckpointThatCannotBeStoredIsAWarningAndTheJobGoesOn) {
  const pb::Lease lease = MakeLease("job", [](Hyper& hp) { hp.checkpoint_seconds = 0; });
  server_.on_put = [](const std::string& key) {
    return IsCheckpoint(key) ? ResourceExhaustedError("the disk is full") : OkStatus();
  };

  const End end = RunToEnd(lease);

  EXPECT_EQ(end.outcome(), End::SUCCEEDED);
  EXPECT_THAT(Warnings(end.lease().events()), Contains(HasSubstr("the disk is full")));
  EXPECT_EQ(end.lease().checkpoint_key(), "");
}

TEST_F(JobRunnerTest, AnArtifactThatCannotBeStoredGivesTheJobBackForAnotherTry) {
  server_.on_put = [](const std::string& key) {
    return IsArtifact(key) ? ResourceExhaustedError("the disk is full") : OkStatus();
  };

  const End end = RunToEnd(MakeLease("job"));

  EXPECT_EQ(end.outcome(), End::RETRY);
  EXPECT_THAT(end.error().message(), HasSubstr("the disk is full"));
  EXPECT_EQ(engine_->figures().adapters_resident, 0);
}

TEST_F(JobRunnerTest, AReportThatDidNotArriveComesInFrontOfWhatIsNewerAndNothingTwice) {
  int changes = 0;
  pb::LeaseStatus lost;

  const End end = RunToEnd(MakeLease("job"), [&] {
    ++changes;
    if (changes == 2) lost = runner_->TakeReport();
    if (changes == 5) runner_->PutBack(std::move(lost));
  });

  EXPECT_EQ(EvaluatedSteps(end.lease().events()), Range(1, kSteps));
}

TEST_F(JobRunnerTest, TheEndWaitsForAReportThatIsUnderWay) {
  std::promise<pb::LeaseStatus> under_way;
  auto report = under_way.get_future();
  Run(EndlessLease("job"), [&, taken = false]() mutable {
    runner_->Release();
    if (taken || server_.seen().puts.empty()) return;
    taken = true;
    under_way.set_value(runner_->TakeReport());  // With the checkpoint, which was just stored.
  });
  ASSERT_EQ(report.wait_for(kLongEnough), std::future_status::ready);

  runner_->PutBack(report.get());

  ASSERT_TRUE(WaitUntilDone());
  ExpectStoredCheckpoint(server_.job("job").completion->lease());
}

TEST_F(JobRunnerTest, AnOlderCheckpointThatDidNotArriveDoesNotReplaceANewerOne) {
  std::mutex mutex;
  pb::LeaseStatus older, newer, next;
  const pb::Lease lease = EndlessLease("job", [](Hyper& hp) {
    hp.checkpoint_seconds = 0;
    hp.evaluations_per_epoch = 0;
  });

  Run(lease, [&] {
    const std::lock_guard lock(mutex);
    if (!next.job_id().empty()) return;
    pb::LeaseStatus report = runner_->TakeReport();
    if (report.checkpoint_key().empty()) return runner_->PutBack(std::move(report));
    if (older.job_id().empty()) return older.Swap(&report);
    newer = report;
    runner_->PutBack(newer);
    runner_->PutBack(older);
    next = runner_->TakeReport();
    runner_->PutBack(next);
    runner_->SetDesired(v1::CANCELLED);
  });

  ASSERT_TRUE(WaitUntilDone());
  EXPECT_GT(newer.checkpoint_step(), older.checkpoint_step());
  EXPECT_GE(next.checkpoint_step(), newer.checkpoint_step());
}

TEST_F(JobRunnerTest, ACompletionIsRepeatedWhileTheServerIsAway) {
  int tries = 0;
  server_.on_complete = [&](const End&) {
    return ++tries <= 3 ? UnavailableError("the server restarts") : OkStatus();
  };

  const End end = RunToEnd(MakeLease("job"));

  EXPECT_EQ(end.outcome(), End::SUCCEEDED);
  const auto completions = server_.seen().completions;
  ASSERT_EQ(completions.size(), 4U);
  for (const End& completion : completions)
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(completion, end));
}

TEST_F(JobRunnerTest, AStoreWithoutRoomDoesNotLoseTheResult) {
  int calls = 0;
  server_.on_complete = [&](const pb::CompleteLeaseRequest&) {
    return ++calls < 3 ? ResourceExhaustedError("the disk is full") : OkStatus();
  };

  const End end = RunToEnd(MakeLease("job"));

  EXPECT_EQ(end.outcome(), End::SUCCEEDED);
  EXPECT_EQ(calls, 3);
}

TEST_F(JobRunnerTest, OldProgressIsDroppedFromAReportThatGrewTooLong) {
  pb::LeaseStatus grown;
  for (int i = 0; i < 2000; ++i) {
    grown.add_events()->mutable_progress()->set_step(i);
    if (i % 1000 == 0) grown.add_events()->set_warning("look out");
  }
  int changes = 0;

  const End end = RunToEnd(MakeLease("job"), [&] {
    if (++changes == 2) runner_->PutBack(grown);
  });

  int warnings = 0;
  for (const v1::JobEvent& event : end.lease().events())
    warnings += event.warning().empty() ? 0 : 1;
  EXPECT_EQ(end.lease().events_size(), 500);
  EXPECT_EQ(warnings, 2);
  EXPECT_EQ(EvaluatedSteps(end.lease().events()), Range(1, kSteps));
}

TEST_F(JobRunnerTest, TheNewestSamplesAreKeptInAReportThatGrewTooLarge) {
  pb::LeaseStatus grown;
  for (int i = 0; i < 100; ++i) {
    grown.add_events()->mutable_sample()->set_step(i);
    grown.mutable_events(i)->mutable_sample()->set_text(std::string(16 << 10, 't'));
  }
  int changes = 0;

  const End end = RunToEnd(MakeLease("job"), [&] {
    if (++changes == 2) runner_->PutBack(grown);
  });

  std::vector<int64_t> steps;
  for (const v1::JobEvent& event : end.lease().events())
    if (event.has_sample()) steps.push_back(event.sample().step());
  EXPECT_EQ(steps, Range(85, 99));
  EXPECT_LT(end.lease().ByteSizeLong(), size_t{300} << 10);
  EXPECT_EQ(EvaluatedSteps(end.lease().events()), Range(1, kSteps));
}

TEST_F(JobRunnerTest, AJobEndsAsAskedWhileDataAndVersionsAreFetched) {
  pb::Lease lease = MakeLease("next");
  lease.set_init_from_prefix(RunToEnd(MakeLease("first")).artifact_prefix());
  for (const bool of_version : {false, true}) {
    size_t gets = 0;
    server_.on_get = [&](const std::string& key) {
      ++gets;
      if (IsArtifact(key) == of_version)
        of_version ? runner().Release() : runner().SetDesired(v1::CANCELLED);
      return OkStatus();
    };
    const End end = RunToEnd(lease);

    EXPECT_EQ(end.outcome(), of_version ? End::RELEASED : End::CANCELLED) << end.error().message();
    EXPECT_EQ(end.lease().resolved_precision(), "") << "it began";
    EXPECT_EQ(gets, of_version ? 2U : 1U) << "the data, and the version's first file";
  }
}

TEST_F(JobRunnerTest, ACompletionWhoseLeaseIsOverIsNotRepeated) {
  server_.on_complete = [](const End&) { return AbortedError("the lease is over"); };

  Run(MakeLease("job"));

  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(server_.seen().completions.size(), 1U);
}

TEST_F(JobRunnerTest, ALeaseLostWhileItsCompletionIsRepeatedIsNotCompletedAgain) {
  server_.on_complete = [this](const End&) {
    runner().SetLost();
    return UnavailableError("the server restarts");
  };

  Run(MakeLease("job"));

  ASSERT_TRUE(WaitUntilDone());
  EXPECT_EQ(server_.seen().completions.size(), 1U);
}

}  // namespace
}  // namespace graft::worker::agent
