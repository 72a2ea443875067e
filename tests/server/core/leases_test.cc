#include "server/core/leases.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <string>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LeasesTest : public CoreFixture {
 protected:
  NewJob With(int priority, const std::string& base = "minilm") {
    NewJob job = Asked();
    job.priority = priority;
    job.base = base;
    job.adapter = base + "-adapter";
    return job;
  }
  std::vector<std::string> Ids(const std::vector<Job>& jobs) {
    std::vector<std::string> ids;
    for (const Job& job : jobs) ids.push_back(job.key.id);
    return ids;
  }
  StatusOr<Adapter> GetAdapter() {
    return Do([](Transaction& tx) { return tx.GetAdapter("default", "support"); });
  }
};

TEST_F(LeasesTest, AcquireTakesTheHighestPriorityThenTheOldest) {
  const JobKey low = Queued(With(-1));
  const JobKey first = Queued(With(3));
  const JobKey second = Queued(With(3));
  const JobKey other = Queued(With(9, "gpt2"));

  EXPECT_THAT(Ids(Acquire("w", 2)), ElementsAre(first.id, second.id));
  EXPECT_THAT(Ids(Acquire("w", 5, {"minilm", "gpt2", "minilm"})), ElementsAre(other.id, low.id));
  EXPECT_THAT(Acquire("w", 5, {"minilm", "gpt2"}), testing::IsEmpty());
}

TEST_F(LeasesTest, AcquireGrantsNothingForNoSlotsOrUnknownBases) {
  Queued();

  EXPECT_TRUE(Acquire("w", 0).empty());
  EXPECT_TRUE(Acquire("w", -3).empty());
  EXPECT_TRUE(Acquire("w", 1, {"gpt2"}).empty());
  EXPECT_TRUE(Acquire("w", 1, {}).empty());
  EXPECT_TRUE(Acquire("w", 1, {""}).empty());
}

TEST_F(LeasesTest, AGrantOpensAnAttemptAndALease) {
  const Job job = Running();

  EXPECT_EQ(job.state, JobState::kRunning);
  EXPECT_EQ(job.lease.worker, "worker-1");
  EXPECT_EQ(job.lease.expiry, clock_.Now() + options_.duration);
  EXPECT_EQ(job.start_time, clock_.Now());
  ASSERT_EQ(job.attempts.size(), 1U);
  EXPECT_EQ(job.attempts[0].worker, "worker-1");
  EXPECT_EQ(Reasons(job.key), "CREATED DATA_READY LEASED");
}

TEST_F(LeasesTest, TokensRiseWithEveryGrant) {
  Job job = Running();
  for (int i = 0; i < 2; ++i) {
    const int64_t token = job.lease.token;
    ASSERT_TRUE(Complete(Ended(job, Outcome::kRetry)).ok());
    clock_.Advance(60 * kSecond);
    job = Acquire().at(0);
    EXPECT_GT(job.lease.token, token);
  }
}

TEST_F(LeasesTest, ARenewalExtendsTheLeaseAndRecordsWhatTheWorkerSaw) {
  const Job job = Running();
  clock_.Advance(5 * kSecond);
  LeaseReport report = CheckpointOf(job, 10);
  report.resolved_precision = "bf16";
  JobEvent progress, evaluation, warning;
  progress.kind = EventKind::kProgress;
  progress.progress.step = 10;
  progress.progress.loss = 0.5;
  evaluation.kind = EventKind::kEvaluation;
  evaluation.evaluation = {10, "validation", 20, 0.4, {{"accuracy", 0.9}, {"macro_f1", 0.8}}};
  warning.kind = EventKind::kWarning;
  warning.text = "slow";
  report.events = {progress, evaluation, warning};

  const auto verdict = Renew(report);

  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_FALSE(verdict->lost);
  const Job after = Get(job.key);
  EXPECT_EQ(after.lease.expiry, clock_.Now() + options_.duration);
  EXPECT_EQ(after.lease.step, 10);
  EXPECT_EQ(after.progress.loss, 0.5);
  EXPECT_EQ(after.evaluations.at(0).metrics.at("accuracy"), 0.9);
  EXPECT_THAT(after.warnings, ElementsAre("slow"));
  EXPECT_EQ(after.checkpoint.step, 10);
  EXPECT_EQ(after.resolved_precision, "bf16");
  EXPECT_EQ(Events(job.key).back().text, "slow");
  EXPECT_EQ(Events(job.key).back().time, clock_.Now());
}

TEST_F(LeasesTest, AWorkerCannotForgeStateChanges) {
  const Job job = Running();
  LeaseReport report = ReportOf(job, 1);
  JobEvent forged;
  forged.kind = EventKind::kStateChange;
  forged.to = JobState::kSucceeded;
  JobEvent version;
  version.kind = EventKind::kVersionCreated;
  report.events = {forged, version};

  ASSERT_TRUE(Renew(report).ok());

  EXPECT_EQ(Get(job.key).num_events, job.num_events);
}

TEST_F(LeasesTest, AnEvaluationThatAResumedAttemptRepeatsIsKeptOnce) {
  const Job job = Running();
  LeaseReport report = ReportOf(job, 10);
  JobEvent evaluation;
  evaluation.kind = EventKind::kEvaluation;
  evaluation.evaluation = {10, "validation", 20, 0.4, {{"accuracy", 0.9}, {"macro_f1", 0.8}}};
  report.events = {evaluation, evaluation};

  ASSERT_TRUE(Renew(report).ok());

  EXPECT_EQ(Get(job.key).evaluations.size(), 1U);
}

/// The samples of an evaluation, as long as they may be.
LeaseReport SamplesAt(int64_t step, LeaseReport report) {
  report.step = step;
  for (int32_t index = 0; index < 8; ++index) {
    JobEvent& event = report.events.emplace_back();
    event.kind = EventKind::kSample;
    event.sample.step = step;
    event.sample.index = index;
    event.sample.text = std::string(report::kMostSampleTextBytes, 'x');
  }
  return report;
}

TEST_F(LeasesTest, SamplesOfALongRunThinOutButShowAllOfIt) {
  const Job job = Running();
  constexpr int64_t kEvaluations = 2000;
  for (int64_t i = 1; i <= kEvaluations; ++i)
    ASSERT_TRUE(Renew(SamplesAt(10 * i, ReportOf(job))).ok());
  ASSERT_TRUE(Renew(SamplesAt(10 * kEvaluations, ReportOf(job))).ok()) << "as a resumed one does";

  std::map<int64_t, int> kept;
  int64_t bytes = 0;
  for (const JobEvent& event : Events(job.key)) {
    if (event.kind != EventKind::kSample) continue;
    ++kept[event.sample.step];
    bytes += static_cast<int64_t>(event.sample.text.size());
  }
  EXPECT_LT(bytes, int64_t{10} << 20) << "of 250 MiB";
  EXPECT_EQ(Get(job.key).samples.bytes, bytes);
  int64_t before = 0;
  for (const auto& [step, samples] : kept) {
    EXPECT_EQ(samples, 8) << step;
    EXPECT_LE(step, std::max<int64_t>(before + before / 8 + 10, 10)) << "from " << before;
    before = step;
  }
  EXPECT_GE(before * 9, 10 * kEvaluations * 8);
  EXPECT_EQ(kept.count(320), 1U) << "the first 4 MiB are kept whole";
  EXPECT_THAT(Get(job.key).warnings,
              ElementsAre(testing::StartsWith("the samples are many: behind step 320 ")));
}

TEST_F(LeasesTest, APausedWorkerThatComesBackOverwritesNothing) {
  const Job first = Running();
  clock_.Advance(11 * kSecond);
  ASSERT_EQ(Expire()->size(), 1U);
  const Job second = Acquire("worker-2").at(0);
  ASSERT_TRUE(Renew(CheckpointOf(second, 5)).ok());
  const Job before = Get(first.key);

  const auto verdict = Renew(CheckpointOf(first, 99));
  const auto completion = Complete(Ended(first, Outcome::kSucceeded));

  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->lost);
  EXPECT_EQ(completion.status().code(), StatusCode::kAborted);
  EXPECT_EQ(Get(first.key).revision, before.revision);
  EXPECT_EQ(Get(first.key).checkpoint.step, 5);
  EXPECT_FALSE(GetAdapter().ok());
}

TEST_F(LeasesTest, ALeaseThatExpiredIsLostEvenBeforeTheNextGrant) {
  const Job job = Running();
  clock_.Advance(11 * kSecond);
  ASSERT_EQ(Expire()->size(), 1U);

  EXPECT_TRUE(Renew(ReportOf(job))->lost);
  EXPECT_EQ(Complete(Ended(job, Outcome::kSucceeded)).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Complete(Ended(job, Outcome::kFailed)).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Get(job.key).state, JobState::kQueued);
}

TEST_F(LeasesTest, ADeletedJobIsALostLease) {
  const Job job = Running();
  ASSERT_TRUE(Complete(Ended(job, Outcome::kFailed)).ok());
  ASSERT_TRUE(Do([&](Transaction& tx) { return DeleteJob(tx, job.key); }).ok());

  EXPECT_TRUE(Renew(ReportOf(job))->lost);
  EXPECT_EQ(Complete(Ended(job, Outcome::kSucceeded)).status().code(), StatusCode::kAborted);
}

TEST_F(LeasesTest, SuccessMakesAdapterVersionAliasAndEventsTogether) {
  const Job job = Running();
  Completion completion = Ended(job, Outcome::kSucceeded);
  completion.promote = true;
  completion.facts.seconds = 12.5;
  completion.version.artifact_prefix = "artifacts/x";

  const auto done = Complete(completion);

  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->state, JobState::kSucceeded);
  EXPECT_EQ(done->version_number, 1);
  EXPECT_EQ(done->facts.seconds, 12.5);
  EXPECT_EQ(done->attempts.back().end_reason, "COMPLETED");
  EXPECT_EQ(GetAdapter()->aliases.at("live").version, 1);
  const auto version = Do([](Transaction& tx) { return ResolveVersion(tx, "default", "support"); });
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->sha256, completion.version.sha256);
  EXPECT_EQ(version->job_id, job.key.id);
  EXPECT_EQ(version->artifact_prefix, "artifacts/x");
  EXPECT_TRUE(version->base_proved);
  const auto events = Events(job.key);
  EXPECT_EQ(events.at(events.size() - 2).text, "adapters/support/versions/1");
  EXPECT_TRUE(events.at(events.size() - 2).promoted);
  EXPECT_EQ(events.back().to, JobState::kSucceeded);
}

TEST_F(LeasesTest, WithoutPromoteNoAliasMoves) {
  ASSERT_TRUE(Complete(Ended(Running(), Outcome::kSucceeded)).ok());

  EXPECT_TRUE(GetAdapter()->aliases.empty());
}

TEST_F(LeasesTest, EqualContentStillGetsANumberOfItsOwn) {
  ASSERT_TRUE(Complete(Ended(Running(), Outcome::kSucceeded)).ok());

  EXPECT_EQ(Complete(Ended(Running(), Outcome::kSucceeded))->version_number, 2);
}

TEST_F(LeasesTest, MeasuredFactsReplaceOnlyWhatWasMeasured) {
  const JobKey key = Create();
  const int64_t token = Claim(key)->lease.token;
  JobFacts estimated;
  estimated.train_examples = 100;
  estimated.seconds = 60;
  ASSERT_TRUE(Do([&](Transaction& tx) {
                return FinishValidation(tx, key, token, "data", estimated, {});
              }).ok());
  Completion completion = Ended(Acquire().at(0), Outcome::kSucceeded);
  completion.facts.seconds = 55;

  const auto job = Complete(completion);

  EXPECT_EQ(job->facts.train_examples, 100);
  EXPECT_EQ(job->facts.seconds, 55);
}

TEST_F(LeasesTest, ARepeatedCompletionIsFine) {
  for (const Outcome outcome :
       {Outcome::kSucceeded, Outcome::kFailed, Outcome::kRetry, Outcome::kReleased}) {
    const Job job = Running();
    ASSERT_TRUE(Complete(Ended(job, outcome)).ok());
    const Job before = Get(job.key);

    const auto again = Complete(Ended(job, outcome));

    EXPECT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(Get(job.key).revision, before.revision);
    (void)Cancel(job.key);
  }
}

TEST_F(LeasesTest, ARepeatedCompletionWithOtherContentIsAborted) {
  const Job job = Running();
  ASSERT_TRUE(Complete(Ended(job, Outcome::kSucceeded)).ok());
  Completion other = Ended(job, Outcome::kSucceeded);
  other.version.sha256 = std::string(64, 'b');

  EXPECT_EQ(Complete(other).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Complete(Ended(job, Outcome::kFailed)).status().code(), StatusCode::kAborted);
}

TEST_F(LeasesTest, CancelAgainstCompletionTheFirstCommittedWins) {
  const Job completed_first = Running();
  ASSERT_TRUE(Complete(Ended(completed_first, Outcome::kSucceeded)).ok());
  EXPECT_EQ(Cancel(completed_first.key).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get(completed_first.key).state, JobState::kSucceeded);

  const Job wished_first = Running();
  ASSERT_TRUE(Cancel(wished_first.key).ok());
  EXPECT_EQ(Complete(Ended(wished_first, Outcome::kSucceeded))->state, JobState::kSucceeded);

  const Job cancelled_first = Running();
  ASSERT_TRUE(Cancel(cancelled_first.key).ok());
  ASSERT_TRUE(Complete(Ended(cancelled_first, Outcome::kCancelled)).ok());
  EXPECT_EQ(Complete(Ended(cancelled_first, Outcome::kSucceeded)).status().code(),
            StatusCode::kAborted);
  EXPECT_EQ(Get(cancelled_first.key).state, JobState::kCancelled);
}

TEST_F(LeasesTest, AVersionThatNoLongerFitsItsAdapterFailsTheJob) {
  const Job job = Running();
  ASSERT_TRUE(Do([](Transaction& tx) {
                Version imported;
                imported.tenant = "default";
                imported.adapter = "support";
                imported.base = "gpt2";
                return ImportVersion(tx, imported);
              }).ok());

  const auto done = Complete(Ended(job, Outcome::kSucceeded));

  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->state, JobState::kFailed);
  EXPECT_EQ(done->error->details.at(0).reason, "BASE_MISMATCH");
  EXPECT_EQ(GetAdapter()->latest_version, 1);
}

TEST_F(LeasesTest, JobsThatWaitAfterAFaultHideNoOthers) {
  std::vector<JobKey> waiting;
  for (int i = 0; i < 3; ++i) {
    const Job job = Running(With(5));
    waiting.push_back(job.key);
  }
  for (const JobKey& key : waiting) ASSERT_TRUE(Complete(Ended(Get(key), Outcome::kRetry)).ok());
  const JobKey ready = Queued(With(-5));

  EXPECT_THAT(Ids(Acquire("w", 1)), ElementsAre(ready.id));
}

TEST_F(LeasesTest, TheRowSaysWhyItIsInItsState) {
  const Job job = Running();
  EXPECT_EQ(job.state_reason, "LEASED");
  EXPECT_EQ(Complete(Ended(job, Outcome::kRetry))->state_reason, "RETRY");
  EXPECT_EQ(Cancel(job.key)->state_reason, "CANCELLED_BY_USER");

  options_.max_attempts_without_checkpoint = 1;
  EXPECT_EQ(Complete(Ended(Running(), Outcome::kRetry))->state_reason, "TOO_MANY_ATTEMPTS");
}

TEST_F(LeasesTest, ExpiryHonoursAWish) {
  const Job pausing = Running();
  ASSERT_TRUE(Pause(pausing.key).ok());
  const Job cancelling = Running();
  ASSERT_TRUE(Cancel(cancelling.key).ok());
  clock_.Advance(11 * kSecond);

  ASSERT_EQ(Expire()->size(), 2U);

  EXPECT_EQ(Get(pausing.key).state, JobState::kPaused);
  EXPECT_EQ(Get(pausing.key).attempts.back().end_reason, "LEASE_EXPIRED");
  EXPECT_EQ(Get(cancelling.key).state, JobState::kCancelled);
}

TEST_F(LeasesTest, ExpireTakesOnlyWhatIsOver) {
  const Job first = Running();
  clock_.Advance(6 * kSecond);
  const Job second = Running();
  clock_.Advance(4 * kSecond);

  const auto expired = Expire();

  ASSERT_EQ(expired->size(), 1U);
  EXPECT_EQ(expired->at(0).key, first.key);
  EXPECT_EQ(Get(second.key).state, JobState::kRunning);
  EXPECT_EQ(Expire()->size(), 0U);
}

TEST_F(LeasesTest, ADeadWorkersLeasesAreTakenAtOnce) {
  const Job dead = Running();
  Queued();
  const Job alive = Acquire("worker-2").at(0);

  ASSERT_EQ(Expire("worker-1")->size(), 1U);

  EXPECT_EQ(Get(dead.key).state, JobState::kQueued);
  EXPECT_EQ(Get(alive.key).state, JobState::kRunning);
}

TEST_F(LeasesTest, AJobThatHangsLosesItsLeaseThoughItsWorkerRenews) {
  options_.stall_after = 30 * kSecond;
  const Job job = Running();
  ASSERT_FALSE(Renew(ReportOf(job, 1))->lost);
  size_t expired = 0;
  int seconds = 0;
  while (expired == 0 && seconds < 100) {
    clock_.Advance(5 * kSecond);
    seconds += 5;
    expired = Expire()->size();
    if (expired == 0) {
      EXPECT_FALSE(Renew(ReportOf(job, 1))->lost);
    }
  }

  EXPECT_EQ(seconds, 30);
  EXPECT_EQ(Get(job.key).attempts.back().end_reason, "STALLED");
}

TEST_F(LeasesTest, AJobThatStepsKeepsItsLease) {
  options_.stall_after = 30 * kSecond;
  const Job job = Running();
  for (int step = 1; step < 50; ++step) {
    clock_.Advance(9 * kSecond);
    EXPECT_EQ(Expire()->size(), 0U);
    ASSERT_FALSE(Renew(ReportOf(job, step))->lost);
  }
}

TEST_F(LeasesTest, AJobThatEvaluatesForLongKeepsItsLease) {
  options_.stall_after = 30 * kSecond;
  const Job job = Running();
  LeaseReport report = ReportOf(job, 1);
  for (report.activity = 1; report.activity < 50; ++report.activity) {
    clock_.Advance(9 * kSecond);
    EXPECT_EQ(Expire()->size(), 0U);
    ASSERT_FALSE(Renew(report)->lost);
  }
}

TEST_F(LeasesTest, ANewAttemptsActivityCountsFromNothing) {
  options_.stall_after = 30 * kSecond;
  Job job = Running();
  LeaseReport report = ReportOf(job, 1);
  report.activity = 1000;
  ASSERT_FALSE(Renew(report)->lost);
  ASSERT_TRUE(Complete(Ended(job, Outcome::kReleased)).ok());
  job = Acquire().at(0);
  report = ReportOf(job);
  for (report.activity = 1; report.activity < 10; ++report.activity) {
    clock_.Advance(9 * kSecond);
    EXPECT_EQ(Expire()->size(), 0U);
    ASSERT_FALSE(Renew(report)->lost);
  }
}

TEST_F(LeasesTest, ARenewalSaysWhichCheckpointNothingWillReadAgain) {
  const Job first = Running();
  LeaseReport report = ReportOf(first, 5);
  report.checkpoint = {"a", "hash", 5};
  EXPECT_EQ(Renew(report)->replaced_checkpoint, "");
  EXPECT_EQ(Renew(report)->replaced_checkpoint, "") << "told again";
  EXPECT_EQ(Renew(ReportOf(first, 6))->replaced_checkpoint, "");
  report.checkpoint = {"b", "hash", 7};

  EXPECT_EQ(Renew(report)->replaced_checkpoint, "a");
}

TEST_F(LeasesTest, AResultThatArrivesWithItsLastEventsKeepsThem) {
  const Job job = Running();
  Completion completion = Ended(job, Outcome::kSucceeded);
  completion.report.step = 30;
  JobEvent progress;
  progress.kind = EventKind::kProgress;
  progress.progress.step = 28;
  progress.progress.eta_seconds = 4;
  completion.report.events = {progress};
  completion.version.evaluations = {{30, "test", 5, 0.1, {{"accuracy", 0.9}}}};

  const auto done = Complete(completion);

  EXPECT_EQ(done->progress.step, 30) << "the last that came is of an earlier step";
  EXPECT_EQ(done->progress.eta_seconds, 0);
  EXPECT_EQ(done->attempts.back().last_step, 30);
  EXPECT_EQ(done->evaluations.back().split, "test");
}

TEST_F(LeasesTest, ALongErrorIsCutBetweenCharacters) {
  Completion completion = Ended(Running(), Outcome::kRetry);
  completion.error.message.assign(499, 'x');
  completion.error.message += "\xC3\xA9\xC3\xA9";

  const auto job = Complete(completion);

  EXPECT_EQ(job->attempts.back().end_message, std::string(499, 'x') + "...");
}

}  // namespace
}  // namespace graft::server::core
