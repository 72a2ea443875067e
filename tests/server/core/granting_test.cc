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
  static WorkerPlace Place(const std::string& worker, int64_t most, const char* base = "minilm") {
    return {.worker = worker, .bases = {base}, .most_bytes = most};
  }
  static WorkerAsk Ask(int64_t free, int max = 4, const std::string& worker = "worker-1",
                       std::vector<WorkerPlace> others = {}) {
    others.push_back(Place(worker, 8 * kGiB));
    return {.worker = worker,
            .bases = {"minilm"},
            .max_leases = max,
            .memory = WorkerMemory{.free_bytes = free, .most_bytes = 8 * kGiB, .bases_in_use = {}},
            .places = std::move(others)};
  }
  std::vector<Job> AcquireWith(int64_t free, int max = 4, const std::string& worker = "worker-1",
                               std::vector<WorkerPlace> others = {}) {
    const auto jobs = AcquireFor(Ask(free, max, worker, std::move(others)));
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    return jobs.ok() ? jobs->granted : std::vector<Job>();
  }
  /// In a transaction that can't write.
  std::vector<JobKey> Find(const WorkerAsk& ask) {
    std::vector<JobKey> work;
    const Status found = store_.ReadNow([&](Transaction& tx) -> Status {
      GRAFT_ASSIGN_OR_RETURN(Work look, FindWork(tx, ask, options_));
      work = std::move(look.jobs);
      return OkStatus();
    });
    EXPECT_TRUE(found.ok()) << found;
    return work;
  }
  std::vector<JobKey> AcquireOf(const std::vector<JobKey>& work, const WorkerAsk& ask) {
    const auto jobs = Do([&](Transaction& tx) { return AcquireLeases(tx, ask, work, options_); });
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    return jobs.ok() ? Keys(jobs->granted) : std::vector<JobKey>();
  }
  static std::vector<JobKey> Keys(const std::vector<Job>& jobs) {
    std::vector<JobKey> keys;
    for (const Job& job : jobs) keys.push_back(job.key);
    return keys;
  }
  /// By worker-1, of 8 GiB.
  Completion HandedBack(const Job& job, int64_t needs, std::vector<WorkerPlace> others = {}) {
    Completion completion = Ended(job, Outcome::kReleased);
    completion.error = {StatusCode::kResourceExhausted, "it needs 7.0 GiB", {}, 0};
    completion.facts.peak_memory_bytes = needs;
    completion.places = std::move(others);
    completion.places.push_back(Place("worker-1", 8 * kGiB));
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

TEST_F(LeasesByRoomTest, WhatWasGrantedCountsUntilItsWorkerTellsThatTheJobHasItsMemory) {
  const JobKey first = QueuedNeeding(5 * kGiB);
  ASSERT_THAT(Keys(AcquireWith(8 * kGiB, 1)), ElementsAre(first));
  const JobKey second = QueuedNeeding(5 * kGiB);

  EXPECT_THAT(AcquireWith(8 * kGiB, 1), IsEmpty()) << "the worker hasn't taken it yet";
  LeaseReport report = ReportOf(Get(first), 0);
  report.activity = 1;
  ASSERT_TRUE(Renew(report).ok());
  EXPECT_THAT(AcquireWith(8 * kGiB, 1), IsEmpty()) << "it reads the job's data";
  report.resolved_precision = "fp32";
  ASSERT_TRUE(Renew(report).ok());

  EXPECT_THAT(Keys(AcquireWith(5 * kGiB, 1)), ElementsAre(second)) << "of more than it said";
}

TEST_F(LeasesByRoomTest, ANewAttemptHasNoMemoryYet) {
  const JobKey key = QueuedNeeding(5 * kGiB);
  Job job = AcquireWith(8 * kGiB, 1).at(0);
  LeaseReport report = ReportOf(job);
  report.resolved_precision = "fp32";
  ASSERT_TRUE(Renew(report).ok());
  ASSERT_TRUE(Get(key).lease.holds_memory);
  ASSERT_TRUE(Expire("worker-1").ok());

  ASSERT_THAT(Keys(AcquireWith(8 * kGiB, 1)), ElementsAre(key));

  EXPECT_FALSE(Get(key).lease.holds_memory);
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

TEST_F(LeasesByRoomTest, ALookThatFindsNothingToDoLeavesNothingToWrite) {
  for (int i = 0; i < 300; ++i) QueuedNeeding(8 * kGiB);

  EXPECT_THAT(Find(Ask(7 * kGiB)), IsEmpty());
  clock_.Advance(options_.tell_wait);
  const std::vector<JobKey> told = Find(Ask(7 * kGiB));

  EXPECT_THAT(told, SizeIs(100)) << "one write is bounded";
  EXPECT_THAT(AcquireOf(told, Ask(7 * kGiB)), IsEmpty());
  EXPECT_THAT(Get(told.front()).warnings, SizeIs(1));
}

TEST_F(LeasesByRoomTest, WhatWasFoundIsLookedAtAgainAsItIsWhenItIsGranted) {
  const JobKey cancelled = QueuedNeeding(kGiB);
  const JobKey paused = QueuedNeeding(kGiB);
  const JobKey taken = QueuedNeeding(kGiB);
  const JobKey large = QueuedNeeding(4 * kGiB);
  const JobKey small = QueuedNeeding(kGiB);
  const std::vector<JobKey> work = Find(Ask(8 * kGiB, 5));
  ASSERT_THAT(work, ElementsAre(cancelled, paused, taken, large, small));
  ASSERT_TRUE(Cancel(cancelled).ok());
  ASSERT_TRUE(Pause(paused).ok());
  ASSERT_THAT(AcquireOf({taken}, Ask(8 * kGiB, 1, "worker-2")), ElementsAre(taken));

  EXPECT_THAT(AcquireOf(work, Ask(3 * kGiB, 5)), ElementsAre(small)) << "less is free by now";
  EXPECT_EQ(Get(large).state, JobState::kQueued);
  WorkerAsk without_base = Ask(8 * kGiB, 5);
  without_base.bases = {"gpt2"};
  EXPECT_THAT(AcquireOf(work, without_base), IsEmpty());
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

  EXPECT_THAT(Keys(AcquireWith(8 * kGiB, 4, "worker-1", {Place("worker-2", 16 * kGiB)})),
              ElementsAre(small));
  EXPECT_THAT(Get(large).warnings, IsEmpty()) << "a larger worker is there";
}

TEST_F(LeasesByRoomTest, AJobThatNoWorkerWillEverTakeSaysSoWhateverElseIsThere) {
  const JobKey large = QueuedNeeding(9 * kGiB);
  clock_.Advance(options_.tell_wait);

  EXPECT_THAT(AcquireWith(8 * kGiB, 4, "worker-1", {Place("worker-2", 16 * kGiB, "gpt2")}),
              IsEmpty());

  EXPECT_THAT(Get(large).warnings,
              ElementsAre("waits for a larger worker: it needs about 9.0 GiB, and worker worker-1, "
                          "the nearest to that of those that take jobs on the base minilm, can "
                          "give a job 8.0 GiB; cancel it, or start a larger worker"));
}

TEST_F(LeasesByRoomTest, AWorkerThatDrainsIsNamedButNotWaitedForInSilence) {
  const JobKey large = QueuedNeeding(9 * kGiB);
  clock_.Advance(options_.tell_wait);
  WorkerPlace leaving = Place("worker-2", 16 * kGiB);
  leaving.is_draining = true;

  EXPECT_THAT(AcquireWith(8 * kGiB, 4, "worker-1", {leaving}), IsEmpty());

  EXPECT_THAT(Get(large).warnings,
              ElementsAre(HasSubstr("worker worker-2 could, but is draining and takes none")));
}

TEST_F(LeasesByRoomTest, WhatAJobWaitsForIsSaidAgainWhenItIsAnotherThing) {
  const JobKey large = QueuedNeeding(8 * kGiB);
  clock_.Advance(options_.tell_wait);
  ASSERT_THAT(AcquireWith(7 * kGiB), IsEmpty());
  ASSERT_TRUE(Do([&](Transaction& tx) -> Status {
                GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(large));
                NoteNeed(job, /*prefers_bf16=*/false, 9 * kGiB);
                return tx.PutJob(job, {});
              }).ok());

  for (int i = 0; i < 2; ++i) ASSERT_THAT(AcquireWith(7 * kGiB), IsEmpty());

  EXPECT_THAT(Get(large).warnings,
              ElementsAre(StartsWith(kWaitsForMemory), StartsWith(kWaitsForWorker)));
}

TEST_F(LeasesByRoomTest, AJobThatIsHandedBackWaitsUntilWhatItNeedsIsFree) {
  const JobKey key = QueuedNeeding(kGiB);
  const Job job = AcquireWith(2 * kGiB).at(0);

  const auto back = Complete(HandedBack(job, 7 * kGiB));

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
    ASSERT_EQ(Complete(HandedBack(job, 7 * kGiB))->state, JobState::kQueued);
    clock_.Advance(options_.max_backoff);
  }
}

TEST_F(LeasesByRoomTest, WhatIsHandedBackAgainOrForAnUnknownNeedRestsAWhile) {
  const JobKey key = QueuedNeeding(kGiB);
  ASSERT_TRUE(Complete(HandedBack(AcquireWith(8 * kGiB).at(0), 0)).ok());
  EXPECT_THAT(AcquireWith(8 * kGiB), IsEmpty());
  clock_.Advance(options_.backoff);

  ASSERT_TRUE(Complete(HandedBack(AcquireWith(8 * kGiB).at(0), 7 * kGiB)).ok());

  clock_.Advance(options_.backoff);
  EXPECT_THAT(AcquireWith(8 * kGiB), IsEmpty());
  clock_.Advance(3 * options_.backoff);
  EXPECT_THAT(Keys(AcquireWith(8 * kGiB)), ElementsAre(key));
}

TEST_F(LeasesByRoomTest, WhatFitsNoWorkerFails) {
  QueuedNeeding(kGiB);
  const Job job = AcquireWith(8 * kGiB).at(0);
  const Completion completion = HandedBack(job, 9 * kGiB);

  const auto failed = Complete(completion);

  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(failed->state, JobState::kFailed);
  EXPECT_EQ(failed->error->message, "it needs 7.0 GiB");
  EXPECT_TRUE(Complete(completion).ok()) << "its answer was lost";
}

TEST_F(LeasesByRoomTest, WhatFitsOnlyAWorkerWithoutItsBaseFails) {
  QueuedNeeding(kGiB);
  const Job job = AcquireWith(8 * kGiB).at(0);

  const auto failed = Complete(HandedBack(job, 9 * kGiB, {Place("worker-2", 64 * kGiB, "gpt2")}));

  ASSERT_TRUE(failed.ok()) << failed.status();
  EXPECT_EQ(failed->state, JobState::kFailed);
}

TEST_F(LeasesByRoomTest, WhatFitsAWorkerThatWouldRunItInAnotherPrecisionWaitsForIt) {
  const JobKey key = QueuedNeeding(kGiB);
  ASSERT_TRUE(Do([&](Transaction& tx) -> Status {
                GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob(key));
                job.facts.fp32_memory = {.whole = kGiB, .least = kGiB};
                job.facts.bf16_memory = {.whole = kGiB / 2, .least = kGiB / 2};
                return tx.PutJob(job, {});
              }).ok());
  const Job job = AcquireWith(8 * kGiB).at(0);
  WorkerPlace bf16 = Place("worker-2", 6 * kGiB);
  bf16.prefers_bf16 = true;

  const auto back = Complete(HandedBack(job, 9 * kGiB, {bf16}));

  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->state, JobState::kQueued);
  EXPECT_EQ(back->facts.bf16_memory.least, kGiB / 2);
}

TEST_F(LeasesByRoomTest, NothingFailsForASizeThatAWorkerWhichDrainsCouldHold) {
  QueuedNeeding(kGiB);
  const Job job = AcquireWith(8 * kGiB).at(0);
  WorkerPlace leaving = Place("worker-2", 16 * kGiB);
  leaving.is_draining = true;

  const auto back = Complete(HandedBack(job, 9 * kGiB, {leaving}));

  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->state, JobState::kQueued) << "it may come back";
}

}  // namespace
}  // namespace graft::server::core
