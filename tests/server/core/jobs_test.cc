#include "server/core/jobs.h"

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

class JobsTest : public CoreFixture {};

TEST_F(JobsTest, ANewJobIsValidatingWithOneEvent) {
  const Job job = Get(Create());

  EXPECT_EQ(job.state, JobState::kValidating);
  EXPECT_EQ(job.create_time, clock_.Now());
  EXPECT_EQ(Reasons(job.key), "CREATED");
}

TEST_F(JobsTest, ARepeatedRequestReturnsTheFirstJob) {
  const JobKey first = Create(Asked("r1"));

  const auto again = Do([&](Transaction& tx) { return CreateJob(tx, Asked("r1")); });

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->key, first);
  EXPECT_EQ(Events(first).size(), 1U);
}

TEST_F(JobsTest, ARepeatedRequestReturnsTheFirstJobAlsoWhenTheQueueIsFull) {
  const JobKey first = Create(Asked("r1"));

  const auto again = Do([&](Transaction& tx) { return CreateJob(tx, Asked("r1"), {1}); });

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->key, first);
}

TEST_F(JobsTest, ARequestIdWithAnotherSpecIsRefused) {
  Create(Asked("r1"));
  NewJob other = Asked("r1");
  other.request_hashes.message = "other";

  const auto refused = Do([&](Transaction& tx) { return CreateJob(tx, other); });

  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(refused.status().details().at(0).reason, "REQUEST_ID_REUSED");
}

TEST_F(JobsTest, ARowOfAnEarlierVersionIsComparedAsItWasHashed) {
  const JobKey key = Create(Asked("r1"));
  Job old = Get(key);
  EXPECT_EQ(old.request_hash_kind, RequestHashKind::kMessage);
  old.request_hash_kind = RequestHashKind::kResolvedSpec;
  old.request_sha256 = "resolved";
  ASSERT_TRUE(Do([&](Transaction& tx) { return tx.PutJob(old, {}); }).ok());
  NewJob same = Asked("r1");
  same.request_hashes.message = "spelt otherwise";
  NewJob other = Asked("r1");
  other.request_hashes.resolved_spec = "other";

  const auto again = Do([&](Transaction& tx) { return CreateJob(tx, same); });
  const auto refused = Do([&](Transaction& tx) { return CreateJob(tx, other); });

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->key, key);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
}

TEST_F(JobsTest, AVersionToContinueMustStillBeTheOneThatWasRead) {
  Version parent;
  parent.tenant = "default";
  parent.adapter = "support";
  parent.base = "minilm";
  parent.sha256 = std::string(64, 'a');
  parent.artifact_prefix = "prefix/";
  const auto add = [&] {
    return Do([&](Transaction& tx) { return AddVersion(tx, parent, false); });
  };
  NewJob asked = Asked("r1");
  asked.init_from = *add();
  const auto create = [&] { return Do([&](Transaction& tx) { return CreateJob(tx, asked); }); };
  ASSERT_TRUE(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).ok());

  EXPECT_EQ(create().status().code(), StatusCode::kNotFound);
  EXPECT_EQ(create().status().details().at(0).field, "spec.init_from");
  parent.sha256 = std::string(64, 'b');
  ASSERT_TRUE(add().ok());
  EXPECT_EQ(create().status().code(), StatusCode::kAborted);

  asked.init_from->sha256 = parent.sha256;
  const auto job = create();
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->init_from_sha256, parent.sha256);
  EXPECT_EQ(job->init_from_prefix, "prefix/");
  ASSERT_TRUE(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).ok());
  EXPECT_EQ(create()->key, job->key) << "a repeated request returns its job";
}

TEST_F(JobsTest, ARequestIdIsATenantsOwn) {
  const JobKey first = Create(Asked("r1"));
  NewJob other = Asked("r1");
  other.tenant = "other";

  EXPECT_NE(Create(other), first);
}

TEST_F(JobsTest, AFullQueueRefusesAndMovesOnWhenAJobRuns) {
  const JobLimits limits{2};
  Queued();
  Create();
  const auto full = Do([&](Transaction& tx) { return CreateJob(tx, Asked(), limits); });
  EXPECT_EQ(full.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(full.status().details().at(0).reason, "QUEUE_FULL");
  NewJob other = Asked();
  other.tenant = "other";
  EXPECT_TRUE(Do([&](Transaction& tx) { return CreateJob(tx, other, limits); }).ok());

  ASSERT_EQ(Acquire().size(), 1U);

  EXPECT_TRUE(Do([&](Transaction& tx) { return CreateJob(tx, Asked(), limits); }).ok());
}

TEST_F(JobsTest, AnAdapterOfAnotherBaseIsRefusedAtOnce) {
  ASSERT_TRUE(Complete(Ended(Running(), Outcome::kSucceeded)).ok());
  NewJob other = Asked();
  other.base = "gpt2";

  const auto refused = Do([&](Transaction& tx) { return CreateJob(tx, other); });

  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.status().details().at(0).reason, "BASE_MISMATCH");
}

TEST_F(JobsTest, OnlyOneServerValidatesAJob) {
  const JobKey key = Create();
  ASSERT_TRUE(Claim(key, "server-1").ok());

  EXPECT_EQ(Claim(key, "server-2").status().code(), StatusCode::kAborted);
}

TEST_F(JobsTest, AClaimThatExpiresPassesOnAndTheFirstHolderCannotFinish) {
  const JobKey key = Create();
  const int64_t first = Claim(key, "server-1")->lease.token;
  clock_.Advance(10 * kSecond);
  const auto second = Claim(key, "server-2");
  ASSERT_TRUE(second.ok()) << second.status();

  const auto late =
      Do([&](Transaction& tx) { return FinishValidation(tx, key, first, "data", {}, {}); });
  const auto late_failure = Do([&](Transaction& tx) {
    return FailValidation(tx, key, first, ToJobError(DataLossError("x")));
  });
  const auto late_renewal =
      Do([&](Transaction& tx) { return RenewValidation(tx, key, first, kSecond); });

  EXPECT_EQ(late.status().code(), StatusCode::kAborted);
  EXPECT_EQ(late_failure.status().code(), StatusCode::kAborted);
  EXPECT_EQ(late_renewal.code(), StatusCode::kAborted);
  EXPECT_TRUE(Validated(key).ok());
}

TEST_F(JobsTest, ARenewedClaimHolds) {
  const JobKey key = Create();
  const int64_t token = Claim(key, "server-1")->lease.token;
  clock_.Advance(9 * kSecond);
  ASSERT_TRUE(
      Do([&](Transaction& tx) { return RenewValidation(tx, key, token, 10 * kSecond); }).ok());
  clock_.Advance(9 * kSecond);

  EXPECT_EQ(Claim(key, "server-2").status().code(), StatusCode::kAborted);
}

TEST_F(JobsTest, AServerThatRestartsTakesItsClaimBackWithANewToken) {
  const JobKey key = Create();
  const int64_t first = Claim(key, "server-1")->lease.token;

  const auto again = Claim(key, "server-1");

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_GT(again->lease.token, first);
}

TEST_F(JobsTest, FinishedValidationKeepsFactsAndWarnings) {
  const JobKey key = Create();
  const int64_t token = Claim(key)->lease.token;
  JobFacts facts;
  facts.train_examples = 7;

  const auto job = Do([&](Transaction& tx) {
    return FinishValidation(tx, key, token, "hash", facts, {"short", "few"});
  });

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state, JobState::kQueued);
  EXPECT_EQ(job->facts.train_examples, 7);
  EXPECT_EQ(job->dataset_sha256, "hash");
  EXPECT_EQ(job->warnings, (std::vector<std::string>{"short", "few"}));
  EXPECT_EQ(job->queue_time, clock_.Now());
  EXPECT_EQ(job->lease.expiry, 0);
  const auto events = Events(key);
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[1].text, "short");
  EXPECT_EQ(events[3].to, JobState::kQueued);
}

TEST_F(JobsTest, BadDataEndsTheJobWithItsError) {
  const JobKey key = Create();
  const int64_t token = Claim(key)->lease.token;
  const Status fault = InvalidArgumentError("line 3: no label")
                           .AddDetail({"LABEL_MISSING", "dataset.train", 3, "label", "no label"});

  const auto job =
      Do([&](Transaction& tx) { return FailValidation(tx, key, token, ToJobError(fault)); });

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state, JobState::kFailed);
  EXPECT_EQ(job->error->code, StatusCode::kInvalidArgument);
  EXPECT_EQ(job->error->details, fault.details());
  EXPECT_EQ(Events(key).back().error->message, fault.message());
  EXPECT_EQ(Events(key).back().reason, "BAD_DATA");
}

TEST_F(JobsTest, WhatIsNotTheDatasFaultIsNotCalledBadData) {
  const JobKey key = Create();
  const int64_t token = Claim(key)->lease.token;
  const Status fault = InvalidArgumentError("the base has another head").At("base_model", "BASE");

  const auto job =
      Do([&](Transaction& tx) { return FailValidation(tx, key, token, ToJobError(fault)); });

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state, JobState::kFailed);
  EXPECT_EQ(Events(key).back().reason, "ERROR");
}

TEST_F(JobsTest, ACancelDuringValidationWins) {
  const JobKey key = Create();
  const int64_t token = Claim(key)->lease.token;
  ASSERT_TRUE(Cancel(key).ok());

  const auto late =
      Do([&](Transaction& tx) { return FinishValidation(tx, key, token, "data", {}, {}); });

  EXPECT_EQ(late.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Reasons(key), "CREATED CANCELLED_BY_USER");
}

TEST_F(JobsTest, AResumeTakesAPauseBackBeforeTheWorkerHeard) {
  const Job job = Running();
  ASSERT_TRUE(Pause(job.key).ok());
  ASSERT_TRUE(Resume(job.key).ok());

  EXPECT_EQ(Renew(ReportOf(job))->desired, JobState::kRunning);
}

TEST_F(JobsTest, AResumeThatCannotEndWellIsRefusedAndThePauseStays) {
  const Job job = Running();
  ASSERT_TRUE(Pause(job.key).ok());
  ASSERT_EQ(Complete(Ended(job, Outcome::kPaused))->state, JobState::kPaused);
  Version other;
  other.tenant = job.key.tenant;
  other.adapter = job.adapter;
  other.base = "another";
  other.sha256 = std::string(64, 'a');
  ASSERT_TRUE(Do([&](Transaction& tx) { return AddVersion(tx, other, false); }).ok());

  const Status refused = Resume(job.key).status();

  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.details().at(0).reason, "BASE_MISMATCH");
  EXPECT_EQ(Do([&](Transaction& tx) { return tx.GetJob(job.key); })->state, JobState::kPaused);
}

TEST_F(JobsTest, ACancelOverridesAPause) {
  const Job job = Running();
  ASSERT_TRUE(Pause(job.key).ok());
  ASSERT_TRUE(Cancel(job.key).ok());

  EXPECT_EQ(Renew(ReportOf(job))->desired, JobState::kCancelled);
  EXPECT_EQ(Complete(Ended(job, Outcome::kPaused))->state, JobState::kCancelled);
}

TEST_F(JobsTest, UnknownJobsAreNotFound) {
  const JobKey key{"default", "none"};

  EXPECT_EQ(Cancel(key).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Pause(key).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resume(key).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Claim(key).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Do([&](Transaction& tx) { return DeleteJob(tx, key); }).code(), StatusCode::kNotFound);
}

TEST_F(JobsTest, AnotherTenantsJobIsNotFound) {
  const JobKey key = Create();

  EXPECT_EQ(Cancel({"other", key.id}).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace graft::server::core
