// How a worker comes to the jobs that fit it behind any number that don't, a part of the queue a
// look.

#include <gmock/gmock.h>

#include "server/core/granting.h"
#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Le;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kNever = 9 * kGiB;  ///< More than the worker has.

/// Looks of one worker that has 8 GiB for jobs, of which requests have one.
class QueueWalkTest : public CoreFixture {
 protected:
  /// Of several clients.
  void QueueMany(int count, int64_t bytes, int priority = 0) {
    for (int i = 0; i < count; ++i)
      QueuedNeeding(bytes, priority, "tenant-" + std::to_string(i % 4));
  }
  /// What the worker gets now. It looks the more often.
  std::vector<JobKey> Look() {
    ++looks_;
    std::vector<JobKey> granted;
    const auto done = Do([&](Transaction& tx) -> StatusOr<AcquiredLeases> {
      GRAFT_ASSIGN_OR_RETURN(Work work, FindWork(tx, ask_, options_));
      ask_.walk = std::move(work.walk);
      return AcquireLeases(tx, ask_, work.jobs, options_);
    });
    EXPECT_TRUE(done.ok()) << done.status();
    for (const Job& job : done->granted) granted.push_back(job.key);
    return granted;
  }
  /// Looks until it gets something, for a while.
  std::vector<JobKey> LookOn(int most) {
    std::vector<JobKey> granted;
    for (int i = 0; i < most && granted.empty(); ++i) granted = Look();
    return granted;
  }

  WorkerAsk ask_{
      .worker = "worker-1",
      .bases = {"minilm"},
      .max_leases = 1,
      .memory = WorkerMemory{.free_bytes = 7 * kGiB, .most_bytes = 8 * kGiB, .bases_in_use = {}}};
  int looks_ = 0;
};

TEST_F(QueueWalkTest, AnyNumberThatDontFitHidesNoneThatDoes) {
  QueueMany(1000, 8 * kGiB, /*priority=*/1);
  const JobKey small = QueuedNeeding(kGiB);

  EXPECT_THAT(LookOn(20), ElementsAre(small));
  EXPECT_THAT(looks_, AllOf(Ge(4), Le(6))) << "each passes over a few hundred";
}

TEST_F(QueueWalkTest, NoLookPassesOverMoreThanItsShare) {
  QueueMany(1000, kNever);
  const auto waiting_behind_walk = [&] {
    JobQuery query;
    query.states = {JobState::kQueued};
    query.order = JobQuery::Order::kRunFirst;
    query.after_place = ask_.walk.value().place;
    query.limit = 1000;
    return Do([&](Transaction& tx) { return tx.ListJobs(query); })->size();
  };

  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_EQ(waiting_behind_walk(), 1000U - 256);
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_EQ(waiting_behind_walk(), 1000U - 256 - 192) << "64 were at the front";
}

TEST_F(QueueWalkTest, JobsOfSeveralBasesAreOneQueue) {
  QueueMany(500, kNever, /*priority=*/1);
  const JobKey first = QueuedNeeding(kGiB, /*priority=*/1);
  NewJob asked = Asked();
  asked.base = asked.adapter = "gpt2";
  const JobKey second = Queued(asked);
  ask_.bases = {"gpt2", "minilm"};

  EXPECT_THAT(LookOn(20), ElementsAre(first));
  EXPECT_THAT(LookOn(20), ElementsAre(second));
}

TEST_F(QueueWalkTest, WhereManyWaitFarBackTheyDontEachCostAWalk) {
  QueueMany(1000, kNever, /*priority=*/1);
  QueueMany(20, kMiB);

  int granted = 0;
  while (granted < 20 && looks_ < 100) granted += static_cast<int>(Look().size());

  EXPECT_EQ(granted, 20);
  EXPECT_LE(looks_, 20 + 5 * 5) << "a walk of five looks may find something five times";
}

TEST_F(QueueWalkTest, WhatIsUrgentIsFoundAtOnceInTheMidstOfAWalk) {
  QueueMany(1000, kNever, /*priority=*/1);
  const JobKey small = QueuedNeeding(kGiB);
  ASSERT_THAT(Look(), IsEmpty());
  ASSERT_THAT(Look(), IsEmpty());
  const JobKey urgent = QueuedNeeding(kGiB, /*priority=*/2);

  EXPECT_THAT(Look(), ElementsAre(urgent));
  EXPECT_THAT(LookOn(4), ElementsAre(small)) << "the walk went on";
}

TEST_F(QueueWalkTest, AStreamFarBackDoesntPutOffForLongWhatCameInFrontOfIt) {
  QueueMany(100, kNever, /*priority=*/2);
  QueueMany(900, kNever, /*priority=*/1);
  QueueMany(60, kMiB);
  ASSERT_THAT(LookOn(20), testing::SizeIs(1)) << "the walk is at the stream";
  const JobKey late = QueuedNeeding(kMiB, /*priority=*/2);
  ASSERT_THAT(LookOn(1), testing::Not(ElementsAre(late))) << "behind the front, before the walk";
  looks_ = 0;

  while (Get(late).state != JobState::kRunning && looks_ < 50) Look();

  EXPECT_LE(looks_, 12);
}

TEST_F(QueueWalkTest, ALargeOneFarBackIsWaitedForOnceItHasBeenPassedOver) {
  QueueMany(500, kNever, /*priority=*/2);
  const JobKey large = QueuedNeeding(8 * kGiB, /*priority=*/1);
  QueueMany(300, kMiB);

  std::vector<JobKey> overtakers;
  for (int i = 0; i < 60; ++i) {
    for (const JobKey& key : Look()) overtakers.push_back(key);
  }
  EXPECT_THAT(overtakers.size(), AllOf(Ge(1U), Le(5U))) << "where nothing ran it held nobody back";
  for (const JobKey& key : overtakers) {
    ASSERT_TRUE(Complete(Ended(Get(key), Outcome::kFailed)).ok());
  }
  ask_.memory->free_bytes = 8 * kGiB;

  EXPECT_THAT(LookOn(6), ElementsAre(large));
}

TEST_F(QueueWalkTest, AWorkerThatIsKeptForOneFarBackFindsWhatCameInFrontOfThat) {
  const JobKey running = QueuedNeeding(kGiB, /*priority=*/3);
  ASSERT_THAT(Look(), ElementsAre(running));
  QueueMany(100, kNever, /*priority=*/2);
  QueueMany(900, kNever, /*priority=*/1);
  const JobKey large = QueuedNeeding(8 * kGiB);
  QueuedNeeding(kMiB);
  for (int i = 0; i < 30; ++i) ASSERT_THAT(Look(), IsEmpty()) << "it is kept";
  const JobKey late = QueuedNeeding(kMiB, /*priority=*/2);

  EXPECT_THAT(LookOn(12), ElementsAre(late));
  for (const JobKey& key : {running, late}) {
    ASSERT_TRUE(Complete(Ended(Get(key), Outcome::kFailed)).ok());
  }
  ask_.memory->free_bytes = 8 * kGiB;
  EXPECT_THAT(LookOn(6), ElementsAre(large));
}

TEST_F(QueueWalkTest, AWalkThatIsThroughBeginsAnew) {
  QueueMany(300, kNever);
  const JobKey large = QueuedNeeding(8 * kGiB);
  QueueMany(700, kNever);
  for (int i = 0; i < 3; ++i) ASSERT_THAT(Look(), IsEmpty());
  ask_.memory->free_bytes = 8 * kGiB;

  EXPECT_THAT(Look(), IsEmpty()) << "it is behind the front, and the walk has gone by";
  EXPECT_THAT(LookOn(5), ElementsAre(large));
}

}  // namespace
}  // namespace graft::server::core
