/// How often a job is tried again, and when.

#include <gmock/gmock.h>

#include "server/core/attempts.h"
#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::HasSubstr;

class AttemptsTest : public CoreFixture {};

TEST_F(AttemptsTest, ThreeAttemptsWithoutACheckpointFailTheJobWithEveryReason) {
  Job job = Running();
  ASSERT_TRUE(Complete(Ended(job, Outcome::kRetry)).ok());
  clock_.Advance(kSecond);
  job = Acquire("worker-2").at(0);
  clock_.Advance(11 * kSecond);
  ASSERT_EQ(Expire()->size(), 1U);
  job = Acquire("worker-3").at(0);

  ASSERT_EQ(Expire("worker-3")->size(), 1U);

  const Job failed = Get(job.key);
  EXPECT_EQ(failed.state, JobState::kFailed);
  EXPECT_THAT(failed.error->message, HasSubstr("attempt 1 on worker-1: RETRY (it broke)"));
  EXPECT_THAT(failed.error->message, HasSubstr("attempt 2 on worker-2: LEASE_EXPIRED"));
  EXPECT_THAT(failed.error->message, HasSubstr("attempt 3 on worker-3: WORKER_DIED"));
  EXPECT_EQ(failed.error->details.at(0).reason, "TOO_MANY_ATTEMPTS");
  EXPECT_EQ(Events(job.key).back().error->message, failed.error->message);
  ASSERT_EQ(failed.attempts.size(), 3U);
  EXPECT_EQ(failed.attempts[0].end_message, "it broke");
}

TEST_F(AttemptsTest, AttemptsThatMadeACheckpointDoNotCount) {
  Job job = Running();
  for (int i = 1; i <= 8; ++i) {
    ASSERT_FALSE(Renew(CheckpointOf(job, i * 10))->lost);
    ASSERT_EQ(Complete(Ended(job, Outcome::kRetry))->state, JobState::kQueued);
    clock_.Advance(kSecond);
    job = Acquire().at(0);
    EXPECT_EQ(job.lease.step, i * 10) << "it resumes at its checkpoint";
    EXPECT_EQ(job.attempts.back().first_step, i * 10);
  }
}

TEST_F(AttemptsTest, StoringTheSameCheckpointAgainIsNoProgress) {
  Job job = Running();
  ASSERT_FALSE(Renew(CheckpointOf(job, 10))->lost);
  ASSERT_TRUE(Complete(Ended(job, Outcome::kRetry)).ok());
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(60 * kSecond);
    job = Acquire().at(0);
    ASSERT_FALSE(Renew(CheckpointOf(job, 10))->lost);
    ASSERT_TRUE(Complete(Ended(job, Outcome::kRetry)).ok());
  }

  EXPECT_EQ(Get(job.key).state, JobState::kFailed);
}

TEST_F(AttemptsTest, DrainsDoNotCount) {
  Job job = Running();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(Complete(Ended(job, Outcome::kReleased))->state, JobState::kQueued);
    job = Acquire().at(0);
  }

  EXPECT_EQ(job.attempts.size(), 6U);
  EXPECT_EQ(job.attempts.back().number, 6);
}

TEST_F(AttemptsTest, PausesOfTheUserDoNotCount) {
  Job job = Running();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Pause(job.key).ok());
    ASSERT_EQ(Complete(Ended(job, Outcome::kPaused))->state, JobState::kPaused);
    ASSERT_TRUE(Resume(job.key).ok());
    job = Acquire().at(0);
  }

  EXPECT_EQ(Complete(Ended(job, Outcome::kRetry))->state, JobState::kQueued);
}

TEST_F(AttemptsTest, ARetryWaitsLongerEachTimeBeforeItIsGrantedAgain) {
  options_.max_attempts_without_checkpoint = 100;
  Job job = Running();
  for (const TimeUs wait : {1, 4, 16, 60, 60}) {
    ASSERT_EQ(Complete(Ended(job, Outcome::kRetry))->not_before, clock_.Now() + wait * kSecond);
    clock_.Advance(wait * kSecond - 1);
    ASSERT_TRUE(Acquire().empty()) << wait;
    clock_.Advance(1);
    const auto granted = Acquire();
    ASSERT_EQ(granted.size(), 1U) << wait;
    job = granted[0];
    EXPECT_EQ(job.not_before, 0);
  }
}

TEST_F(AttemptsTest, ARetryBehindACheckpointWaitsAsAfterTheFirstFault) {
  Job job = Running();
  ASSERT_TRUE(Complete(Ended(job, Outcome::kRetry)).ok());
  clock_.Advance(kSecond);
  job = Acquire().at(0);
  ASSERT_FALSE(Renew(CheckpointOf(job, 10))->lost);

  EXPECT_EQ(Complete(Ended(job, Outcome::kRetry))->not_before, clock_.Now() + kSecond);
}

TEST_F(AttemptsTest, AJobWhoseWorkerDiedIsGrantedAtOnce) {
  const Job expired = Running();
  clock_.Advance(11 * kSecond);
  ASSERT_EQ(Expire()->size(), 1U);
  EXPECT_EQ(Acquire().at(0).key, expired.key);

  ASSERT_EQ(Expire("worker-1")->size(), 1U);
  EXPECT_EQ(Acquire().at(0).key, expired.key);
}

}  // namespace
}  // namespace graft::server::core
