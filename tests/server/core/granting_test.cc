// Who gets a lease, and who waits for whom where memory is short.

#include "server/core/granting.h"

#include <gmock/gmock.h>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr int64_t kGiB = int64_t{1} << 30;

/// Leases by a worker that tells its memory: 8 GiB for jobs.
class LeasesByRoomTest : public CoreFixture {
 protected:
  JobKey QueuedNeeding(int64_t bytes, int priority = 0) {
    NewJob asked = Asked();
    asked.priority = priority;
    const JobKey key = Create(asked);
    EXPECT_TRUE(Claim(key).ok());
    EXPECT_TRUE(Do([&](Transaction& tx) -> StatusOr<Job> {
                  GRAFT_ASSIGN_OR_RETURN(const Job job, tx.GetJob(key));
                  JobFacts facts;
                  facts.peak_memory_bytes = bytes;
                  return FinishValidation(tx, key, job.lease.token, "data", facts, {});
                }).ok());
    return key;
  }
  std::vector<Job> AcquireWith(int64_t free, int max = 4, const std::string& worker = "worker-1",
                               int64_t elsewhere = 0) {
    const WorkerAsk ask{.worker = worker,
                        .bases = {"minilm"},
                        .max_leases = max,
                        .memory = WorkerMemory{.free_bytes = free,
                                               .most_bytes = 8 * kGiB,
                                               .bases_in_use = {},
                                               .largest_elsewhere = elsewhere}};
    auto jobs = Do([&](Transaction& tx) { return AcquireLeases(tx, ask, options_); });
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    return jobs.ok() ? jobs->granted : std::vector<Job>();
  }
  static std::vector<JobKey> Keys(const std::vector<Job>& jobs) {
    std::vector<JobKey> keys;
    for (const Job& job : jobs) keys.push_back(job.key);
    return keys;
  }
  Completion HandedBack(const Job& job, int64_t needs, int64_t largest) {
    Completion completion = Ended(job, Outcome::kReleased);
    completion.error = {StatusCode::kResourceExhausted, "it needs 7.0 GiB", {}, 0};
    completion.facts.peak_memory_bytes = needs;
    completion.largest_worker_bytes = largest;
    return completion;
  }
};

TEST_F(LeasesByRoomTest, OnlyWhatFitsTogetherIsGranted) {
  const JobKey first = QueuedNeeding(3 * kGiB);
  const JobKey second = QueuedNeeding(3 * kGiB);
  QueuedNeeding(3 * kGiB);

  EXPECT_THAT(Keys(AcquireWith(8 * kGiB)), ElementsAre(first, second));
}

TEST_F(LeasesByRoomTest, SmallerJobsDontOvertakeOneThatOthersEndsMakeRoomFor) {
  const JobKey running = QueuedNeeding(kGiB);
  ASSERT_THAT(AcquireWith(8 * kGiB), SizeIs(1));
  const JobKey large = QueuedNeeding(8 * kGiB);
  const JobKey small = QueuedNeeding(kGiB);

  EXPECT_THAT(AcquireWith(7 * kGiB), IsEmpty()) << "the worker is kept for it";
  EXPECT_TRUE(Complete(Ended(Get(running), Outcome::kFailed)).ok());
  EXPECT_THAT(Keys(AcquireWith(8 * kGiB)), ElementsAre(large));
  EXPECT_EQ(Get(small).state, JobState::kQueued);
}

TEST_F(LeasesByRoomTest, WhereNoJobRunsOneThatDoesntFitHoldsNobodyBack) {
  const JobKey large = QueuedNeeding(8 * kGiB);
  const JobKey small = QueuedNeeding(kGiB);

  EXPECT_THAT(Keys(AcquireWith(7 * kGiB)), ElementsAre(small)) << "requests have the rest";
  EXPECT_EQ(Get(large).state, JobState::kQueued);
}

TEST_F(LeasesByRoomTest, OthersWorkersAreFreeForIt) {
  QueuedNeeding(kGiB);
  ASSERT_THAT(AcquireWith(8 * kGiB), SizeIs(1));
  const JobKey large = QueuedNeeding(8 * kGiB);

  ASSERT_THAT(AcquireWith(7 * kGiB), IsEmpty());
  EXPECT_THAT(Keys(AcquireWith(8 * kGiB, 4, "worker-2")), ElementsAre(large));
}

TEST_F(LeasesByRoomTest, ManyThatDontFitHideNoneThatDoes) {
  for (int i = 0; i < 200; ++i) QueuedNeeding(8 * kGiB, /*priority=*/1);
  const JobKey small = QueuedNeeding(kGiB);

  EXPECT_THAT(Keys(AcquireWith(7 * kGiB, 1)), ElementsAre(small));
}

TEST_F(LeasesByRoomTest, AJobThatWaitsForMemorySaysSoOnceWithTheNumbers) {
  const JobKey large = QueuedNeeding(8 * kGiB);
  ASSERT_THAT(AcquireWith(2 * kGiB), IsEmpty());
  EXPECT_THAT(Get(large).warnings, IsEmpty()) << "it has only come";

  for (int i = 0; i < 3; ++i) {
    clock_.Advance(options_.tell_wait);
    ASSERT_THAT(AcquireWith((3 + i) * kGiB), IsEmpty());
  }

  EXPECT_THAT(Get(large).warnings,
              ElementsAre("waits for memory: it needs about 8.0 GiB, and of the 8.0 GiB that "
                          "worker worker-1 has for jobs 3.0 GiB are free; it runs when others have "
                          "ended"));
}

TEST_F(LeasesByRoomTest, AJobThatIsTooLargeForAWorkerWaitsForAnother) {
  const JobKey large = QueuedNeeding(9 * kGiB);
  const JobKey small = QueuedNeeding(kGiB);
  clock_.Advance(options_.tell_wait);

  EXPECT_THAT(Keys(AcquireWith(8 * kGiB, 4, "worker-1", /*elsewhere=*/16 * kGiB)),
              ElementsAre(small));
  EXPECT_THAT(Get(large).warnings, IsEmpty()) << "a larger worker is there";
  EXPECT_THAT(AcquireWith(7 * kGiB), IsEmpty());
  EXPECT_THAT(Get(large).warnings, ElementsAre(HasSubstr("the largest worker can give a job 8.0")));
}

TEST_F(LeasesByRoomTest, AJobThatIsHandedBackWaitsUntilWhatItNeedsIsFree) {
  const JobKey key = QueuedNeeding(kGiB);
  const Job job = AcquireWith(2 * kGiB).at(0);

  const auto back = Complete(HandedBack(job, 7 * kGiB, 8 * kGiB));

  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->state, JobState::kQueued);
  EXPECT_EQ(back->state_reason, "NO_ROOM");
  EXPECT_THAT(back->attempts.at(0).end_message, StartsWith("it needs 7.0 GiB"));
  EXPECT_THAT(AcquireWith(2 * kGiB), IsEmpty());
  EXPECT_THAT(Keys(AcquireWith(7 * kGiB)), ElementsAre(key));
}

TEST_F(LeasesByRoomTest, HandingBackIsNoOnesFault) {
  QueuedNeeding(kGiB);
  for (int i = 0; i < 2 * options_.max_attempts_without_checkpoint; ++i) {
    const Job job = AcquireWith(8 * kGiB).at(0);
    ASSERT_EQ(Complete(HandedBack(job, 7 * kGiB, 8 * kGiB))->state, JobState::kQueued);
    clock_.Advance(options_.max_backoff);
  }
}

TEST_F(LeasesByRoomTest, WhatIsHandedBackAgainOrForAnUnknownNeedRestsAWhile) {
  const JobKey key = QueuedNeeding(kGiB);
  ASSERT_TRUE(Complete(HandedBack(AcquireWith(8 * kGiB).at(0), 0, 8 * kGiB)).ok());
  EXPECT_THAT(AcquireWith(8 * kGiB), IsEmpty());
  clock_.Advance(options_.backoff);

  ASSERT_TRUE(Complete(HandedBack(AcquireWith(8 * kGiB).at(0), 7 * kGiB, 8 * kGiB)).ok());

  clock_.Advance(options_.backoff);
  EXPECT_THAT(AcquireWith(8 * kGiB), IsEmpty());
  clock_.Advance(3 * options_.backoff);
  EXPECT_THAT(Keys(AcquireWith(8 * kGiB)), ElementsAre(key));
}

TEST_F(LeasesByRoomTest, WhatFitsNoWorkerFails) {
  QueuedNeeding(kGiB);
  const Job job = AcquireWith(8 * kGiB).at(0);
  const Completion completion = HandedBack(job, 9 * kGiB, 8 * kGiB);

  const auto failed = Complete(completion);

  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(failed->state, JobState::kFailed);
  EXPECT_EQ(failed->error->message, "it needs 7.0 GiB");
  EXPECT_TRUE(Complete(completion).ok()) << "its answer was lost";
}

}  // namespace
}  // namespace graft::server::core
