// What every store must do, over all stores and always with two servers on one store: transactions,
// conflicts, threads, reopening. Lists and look-ups are in store_queries_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <future>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/server/stores/store_test_base.h"

namespace graft::server::stores {
namespace {

using core::JobKey;
using core::JobState;
using testing::ElementsAre;
using testing::IsEmpty;

class StoreConformanceTest : public StoreTest {};
class DurableStoreTest : public StoreTest {};

TEST_P(StoreConformanceTest, OneServerReadsWhatTheOtherWrote) {
  ASSERT_TRUE(Put(NewJobRow("a")).ok());

  const StatusOr<Job> job = Get("a");

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->base, "minilm");
  EXPECT_EQ(job->revision, 1);
}

TEST_P(StoreConformanceTest, AFailedWorkLeavesNothing) {
  ASSERT_TRUE(Put(NewJobRow("kept"), {Warning("1")}).ok());

  const Status status = servers_.first().WriteNow([](Transaction& tx) -> Status {
    Job fresh = NewJobRow("fresh");
    fresh.request_id = "r";
    GRAFT_RETURN_IF_ERROR(tx.PutJob(fresh, {Warning("1")}));
    GRAFT_ASSIGN_OR_RETURN(Job kept, tx.GetJob({"default", "kept"}));
    kept.state = JobState::kQueued;
    GRAFT_RETURN_IF_ERROR(tx.PutJob(kept, {Warning("2")}));
    Adapter adapter = NewAdapter("support");
    GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
    GRAFT_RETURN_IF_ERROR(tx.PutVersion(NewVersion("support", 1, "aa")));
    GRAFT_RETURN_IF_ERROR(tx.DeleteJob({"default", "kept"}));
    return AbortedError("no");
  });

  EXPECT_EQ(status, AbortedError("no"));
  EXPECT_EQ(Get("fresh").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(Get("kept").ok());
  EXPECT_EQ(Get("kept")->state, JobState::kValidating);
  EXPECT_THAT(EventNumbers("kept"), ElementsAre(1));
  EXPECT_THAT(EventNumbers("fresh"), IsEmpty());
  EXPECT_TRUE(Look(servers_.second(), [](Transaction& tx) -> StatusOr<int> {
                EXPECT_FALSE(tx.FindJobByRequest("default", "r")->has_value());
                EXPECT_FALSE(tx.GetAdapter("default", "support").ok());
                EXPECT_FALSE(tx.GetVersion("default", "support", 1).ok());
                return 0;
              }).ok());
}

TEST_P(StoreConformanceTest, AWorkThatThrowsIsInternalAndLeavesNothing) {
  const Status status = servers_.first().WriteNow([](Transaction& tx) -> Status {
    Job job = NewJobRow("a");
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {}));
    throw std::runtime_error("broken");
  });

  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_EQ(Get("a").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Put(NewJobRow("b")).ok());
}

TEST_P(StoreConformanceTest, ATransactionSeesItsOwnWrites) {
  const Status status = servers_.first().WriteNow([](Transaction& tx) -> Status {
    Job job = NewJobRow("a");
    job.labels = {{"team", "x"}};
    GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {Warning("w")}));
    EXPECT_TRUE(tx.GetJob(job.key).ok());
    JobQuery query;
    query.labels = {{"team", "x"}};
    EXPECT_EQ(tx.ListJobs(query)->size(), 1U);
    EXPECT_EQ(tx.ListEvents(job.key, 0, 10)->size(), 1U);
    return OkStatus();
  });

  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(StoreConformanceTest, NowStandsStillInATransactionAndFollowsTheClock) {
  const auto now = [](Transaction& tx) -> StatusOr<TimeUs> { return tx.Now(); };
  const TimeUs before = *Look(servers_.first(), now);
  servers_.clock().Advance(5);

  EXPECT_EQ(*Look(servers_.second(), now), before + 5);
  EXPECT_EQ(*Do(servers_.second(), now), before + 5);
}

TEST_P(StoreConformanceTest, AReadCannotWrite) {
  ASSERT_TRUE(Put(NewJobRow("kept")).ok());

  const auto refused = [&](auto write) {
    return servers_.first().ReadNow([&](Transaction& tx) { return write(tx); }).code() ==
           StatusCode::kInternal;
  };

  EXPECT_TRUE(refused([](Transaction& tx) {
    Job job = NewJobRow("a");
    return tx.PutJob(job, {});
  }));
  EXPECT_TRUE(refused([](Transaction& tx) { return tx.DeleteJob({"default", "kept"}); }));
  EXPECT_TRUE(refused([](Transaction& tx) {
    Adapter adapter = NewAdapter("a");
    return tx.PutAdapter(adapter);
  }));
  EXPECT_TRUE(refused([](Transaction& tx) { return tx.DeleteAdapter("default", "a"); }));
  EXPECT_TRUE(refused([](Transaction& tx) { return tx.PutVersion(NewVersion("a", 1, "aa")); }));
  EXPECT_TRUE(refused([](Transaction& tx) { return tx.DeleteVersion("default", "a", 1); }));
  EXPECT_TRUE(Get("kept").ok());
  EXPECT_FALSE(Get("a").ok());
}

TEST_P(StoreConformanceTest, PutJobNumbersEventsWithoutGapsAndBumpsTheRevision) {
  Job job = NewJobRow("a");
  ASSERT_TRUE(Do(servers_.first(), [&](Transaction& tx) {
                Job copy = job;
                Status status = tx.PutJob(copy, {Warning("1"), Warning("2")});
                job = copy;
                return status;
              }).ok());
  EXPECT_EQ(job.num_events, 2);
  ASSERT_TRUE(Do(servers_.second(), [&](Transaction& tx) -> Status {
                GRAFT_ASSIGN_OR_RETURN(Job again, tx.GetJob(job.key));
                return tx.PutJob(again, {Warning("3")});
              }).ok());

  EXPECT_THAT(EventNumbers("a"), ElementsAre(1, 2, 3));
  EXPECT_THAT(EventNumbers("a", 1), ElementsAre(2, 3));
  EXPECT_THAT(EventNumbers("a", 0, 2), ElementsAre(1, 2));
  EXPECT_THAT(EventNumbers("a", 3), IsEmpty());
  EXPECT_EQ(Get("a")->revision, 2);
  EXPECT_EQ(Get("a")->num_events, 3);
}

TEST_P(StoreConformanceTest, AStaleJobIsAborted) {
  ASSERT_TRUE(Put(NewJobRow("a")).ok());
  Job stale = *Get("a");
  ASSERT_TRUE(Put(stale, {Warning("newer")}).ok());

  EXPECT_EQ(Put(stale, {Warning("older")}).code(), StatusCode::kAborted);
  EXPECT_EQ(Put(NewJobRow("a")).code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(EventNumbers("a"), ElementsAre(1));
}

TEST_P(StoreConformanceTest, AStaleAdapterIsAborted) {
  const auto put = [&](Adapter adapter) {
    return servers_.second().WriteNow([&](Transaction& tx) {
      Adapter copy = adapter;
      return tx.PutAdapter(copy);
    });
  };
  ASSERT_TRUE(put(NewAdapter("a")).ok());
  Adapter stale = NewAdapter("a");
  stale.revision = 1;
  ASSERT_TRUE(put(stale).ok());

  EXPECT_EQ(put(stale).code(), StatusCode::kAborted);
  EXPECT_EQ(put(NewAdapter("a")).code(), StatusCode::kAlreadyExists);
}

TEST_P(StoreConformanceTest, ARequestIdBelongsToOneJobOfATenant) {
  Job job = NewJobRow("a");
  job.request_id = "r1";
  ASSERT_TRUE(Put(job).ok());
  Job twin = NewJobRow("b");
  twin.request_id = "r1";
  Job elsewhere = NewJobRow("c", "other");
  elsewhere.request_id = "r1";

  EXPECT_EQ(Put(twin).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(Put(elsewhere).ok());
  EXPECT_TRUE(Put(NewJobRow("d")).ok());
  EXPECT_TRUE(Put(NewJobRow("e")).ok());
  const auto found =
      Look(servers_.second(), [](Transaction& tx) { return tx.FindJobByRequest("default", "r1"); });
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->key.id, "a");
}

TEST_P(StoreConformanceTest, DeleteJobTakesEventsLabelsAndRequestIdAlong) {
  Job job = NewJobRow("a");
  job.request_id = "r1";
  job.labels = {{"team", "x"}};
  ASSERT_TRUE(Put(job, {Warning("1")}).ok());

  ASSERT_TRUE(servers_.second()
                  .WriteNow([](Transaction& tx) {
                    return tx.DeleteJob({"default", "a"});
                  })
                  .ok());

  EXPECT_FALSE(Get("a").ok());
  EXPECT_THAT(EventNumbers("a"), IsEmpty());
  ASSERT_TRUE(Put(job, {Warning("1")}).ok()) << "id and request_id are free again";
  EXPECT_THAT(EventNumbers("a"), ElementsAre(1));
  JobQuery query;
  query.labels = {{"team", "x"}};
  EXPECT_THAT(List(query), ElementsAre("a"));
}

TEST_P(StoreConformanceTest, ListenersHearOfCommittedChangesOnly) {
  std::mutex mutex;
  std::vector<JobKey> heard;
  servers_.first().OnJobsChanged([&](const std::vector<JobKey>& keys) {
    const std::lock_guard lock(mutex);
    heard.insert(heard.end(), keys.begin(), keys.end());
  });

  ASSERT_TRUE(Put(NewJobRow("a")).ok());
  ASSERT_FALSE(servers_.first()
                   .WriteNow([](Transaction& tx) -> Status {
                     Job job = NewJobRow("b");
                     GRAFT_RETURN_IF_ERROR(tx.PutJob(job, {}));
                     return AbortedError("no");
                   })
                   .ok());
  ASSERT_TRUE(servers_.first()
                  .WriteNow([](Transaction& tx) {
                    return tx.DeleteJob({"default", "a"});
                  })
                  .ok());

  const std::lock_guard lock(mutex);
  EXPECT_THAT(heard, ElementsAre(JobKey{"default", "a"}, JobKey{"default", "a"}));
}

TEST_P(StoreConformanceTest, DoneMayHandOverMoreWork) {
  std::promise<Status> last;
  servers_.first().Write(
      [](Transaction& tx) {
        Job job = NewJobRow("a");
        return tx.PutJob(job, {});
      },
      [&](const Status& written) {
        EXPECT_TRUE(written.ok()) << written;
        servers_.first().Read(
            [](Transaction& tx) {
              return tx.GetJob({"default", "a"}).status();
            },
            [&](Status read) { last.set_value(std::move(read)); });
      });

  EXPECT_TRUE(last.get_future().get().ok());
}

TEST_P(StoreConformanceTest, EveryWriteOfManyThreadsAndTwoServersCounts) {
  constexpr int kThreads = 4;
  constexpr int kWrites = 50;
  ASSERT_TRUE(Put(NewJobRow("counter")).ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      core::Store& store = servers_.any(static_cast<uint32_t>(t));
      for (int i = 0; i < kWrites; ++i) {
        const Status status = store.WriteNow([](Transaction& tx) -> Status {
          GRAFT_ASSIGN_OR_RETURN(Job job, tx.GetJob({"default", "counter"}));
          ++job.priority;
          return tx.PutJob(job, {Warning("+1")});
        });
        if (!status.ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(failures, 0);
  EXPECT_EQ(Get("counter")->priority, kThreads * kWrites);
  EXPECT_EQ(EventNumbers("counter", 0, 1000).size(), static_cast<size_t>(kThreads * kWrites));
}

TEST_P(DurableStoreTest, RowsSurviveReopeningInFull) {
  Job job = NewJobRow("a");
  job.labels = {{"team", "x \"y\"\n\xC3\xA9"}};
  job.error = core::JobError{
      StatusCode::kInvalidArgument, "bad", {{"BAD_LINE", "dataset", 7, "text", "no"}}, 3};
  job.progress.loss = 0.1;
  job.progress.grad_norm = std::numeric_limits<double>::quiet_NaN();
  job.checkpoint = {"k", "s", 12};
  job.kept = {{4, 1}, {8, 3}};
  job.lease = {"w", 4, 5, 6, 7};
  job.attempts = {{1, "w", 2, 3, "RETRY", "why", 0, 9, true}};
  job.evaluations = {{3, "validation", 10, 0.25, {{"accuracy", 0.5}, {"macro_f1", 0.75}}}};
  job.spec_json = R"({"base":"minilm"})";
  ASSERT_TRUE(Put(job, {Warning("w")}).ok());

  servers_.Reopen();

  const StatusOr<Job> read = Get("a");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->labels, job.labels);
  EXPECT_EQ(read->error->details, job.error->details);
  EXPECT_EQ(read->error->omitted_details, 3);
  EXPECT_EQ(read->progress.loss, 0.1);
  EXPECT_TRUE(std::isnan(read->progress.grad_norm));
  EXPECT_EQ(read->checkpoint.step, 12);
  ASSERT_EQ(read->kept.size(), 2U);
  EXPECT_EQ(read->kept[1].step, 8);
  EXPECT_EQ(read->kept[1].version, 3);
  EXPECT_EQ(read->lease.token, 4);
  EXPECT_EQ(read->attempts.at(0).end_message, "why");
  EXPECT_TRUE(read->attempts.at(0).made_checkpoint);
  EXPECT_EQ(read->evaluations.at(0).metrics.at("macro_f1"), 0.75);
  EXPECT_EQ(read->spec_json, job.spec_json);
  EXPECT_THAT(EventNumbers("a"), ElementsAre(1));
}

INSTANTIATE_TEST_SUITE_P(Stores, DurableStoreTest, testing::Values(Kind::kSqlite), KindName);
INSTANTIATE_TEST_SUITE_P(Stores, StoreConformanceTest,
                         testing::Values(Kind::kMemory, Kind::kSqlite), KindName);

}  // namespace
}  // namespace graft::server::stores
