// What every store must do, over all stores and always with two servers on one store.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/server/stores/store_fixture.h"

namespace graft::server::stores {
namespace {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobKey;
using core::JobQuery;
using core::JobState;
using core::Transaction;
using core::Version;
using testing::ElementsAre;
using testing::IsEmpty;

Job NewJobRow(const std::string& id, const std::string& tenant = "default") {
  Job job;
  job.key = {tenant, id};
  job.base = "minilm";
  job.adapter = "support";
  job.create_time = 1000;
  return job;
}

JobEvent Warning(const std::string& text) {
  JobEvent event;
  event.kind = core::EventKind::kWarning;
  event.text = text;
  return event;
}

Adapter NewAdapter(const std::string& id, const std::string& base = "minilm") {
  Adapter adapter;
  adapter.tenant = "default";
  adapter.id = id;
  adapter.base = base;
  return adapter;
}

Version NewVersion(const std::string& adapter, int64_t number, const std::string& sha256) {
  Version version;
  version.tenant = "default";
  version.adapter = adapter;
  version.number = number;
  version.sha256 = sha256;
  return version;
}

class StoreConformanceTest : public testing::TestWithParam<Kind> {
 protected:
  StoreConformanceTest() : servers_(GetParam()) {}

  Status Put(Job job, std::vector<JobEvent> events = {}) {
    return servers_.first().WriteNow(
        [&](Transaction& tx) { return tx.PutJob(job, std::move(events)); });
  }
  StatusOr<Job> Get(const std::string& id) {
    return Look(servers_.second(), [&](Transaction& tx) { return tx.GetJob({"default", id}); });
  }
  std::vector<std::string> List(const JobQuery& query) {
    const auto jobs = Look(servers_.second(), [&](Transaction& tx) { return tx.ListJobs(query); });
    const auto count =
        Look(servers_.second(), [&](Transaction& tx) { return tx.CountJobs(query); });
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    EXPECT_TRUE(count.ok()) << count.status();
    std::vector<std::string> ids;
    for (const Job& job : *jobs) ids.push_back(job.key.id);
    if (query.limit >= 50) {
      EXPECT_EQ(*count, static_cast<int64_t>(ids.size()));
    }
    return ids;
  }
  std::vector<int64_t> EventNumbers(const std::string& id, int64_t after = 0, size_t limit = 100) {
    const auto events = Look(servers_.second(), [&](Transaction& tx) {
      return tx.ListEvents({"default", id}, after, limit);
    });
    EXPECT_TRUE(events.ok()) << events.status();
    std::vector<int64_t> numbers;
    for (const JobEvent& event : *events) numbers.push_back(event.number);
    return numbers;
  }

  TwoServers servers_;
};

TEST_P(StoreConformanceTest, OneServerReadsWhatTheOtherWrote) {
  ASSERT_TRUE(Put(NewJobRow("a")).ok());

  const StatusOr<Job> job = Get("a");

  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->base, "minilm");
  EXPECT_EQ(job->revision, 1);
}

TEST_P(StoreConformanceTest, UnknownRowsAreNotFound) {
  ASSERT_TRUE(Do(servers_.first(), [](Transaction& tx) {
                Adapter adapter = NewAdapter("support");
                return tx.PutAdapter(adapter);
              }).ok());

  EXPECT_EQ(Get("a").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Look(servers_.first(), [](Transaction& tx) -> StatusOr<int> {
                EXPECT_EQ(tx.GetAdapter("default", "x").status().code(), StatusCode::kNotFound);
                EXPECT_EQ(tx.GetVersion("default", "support", 1).status().code(),
                          StatusCode::kNotFound);
                EXPECT_EQ(tx.FindVersionByHash("default", "support", "00").status().code(),
                          StatusCode::kNotFound);
                EXPECT_FALSE(tx.FindVersionByRequest("default", "r")->has_value());
                EXPECT_FALSE(tx.FindJobByRequest("default", "r")->has_value());
                EXPECT_TRUE(tx.ListEvents({"default", "a"}, 0, 10)->empty());
                return 0;
              }).ok());
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

TEST_P(StoreConformanceTest, ListJobsHoldsToEachCondition) {
  const auto put = [&](const std::string& id, auto change) {
    Job job = NewJobRow(id);
    change(job);
    ASSERT_TRUE(Put(job).ok());
  };
  put("a", [](Job&) {});
  put("b", [](Job& j) { j.state = JobState::kQueued, j.base = "other"; });
  put("c", [](Job& j) { j.state = JobState::kRunning, j.lease = {"w1", 1, 500, 0, 0}; });
  put("d", [](Job& j) { j.state = JobState::kRunning, j.lease = {"w2", 1, 900, 0, 0}; });
  put("e", [](Job& j) { j.adapter = "mail", j.labels = {{"team", "x"}, {"env", "p"}}; });
  put("f", [](Job& j) { j.key.tenant = "other", j.labels = {{"team", "x"}}; });
  put("g", [](Job& j) { j.labels = {{"team", "y"}}; });
  JobQuery all;

  EXPECT_THAT(List(all), ElementsAre("g", "f", "e", "d", "c", "b", "a"));
  JobQuery q = all;
  q.tenant = "other";
  EXPECT_THAT(List(q), ElementsAre("f"));
  q = all;
  q.states = {JobState::kRunning, JobState::kQueued, JobState::kRunning};
  EXPECT_THAT(List(q), ElementsAre("d", "c", "b"));
  q = all;
  q.adapter = "mail";
  EXPECT_THAT(List(q), ElementsAre("e"));
  q = all;
  q.base = "other";
  EXPECT_THAT(List(q), ElementsAre("b"));
  q = all;
  q.labels = {{"team", "x"}};
  EXPECT_THAT(List(q), ElementsAre("f", "e"));
  q.labels = {{"team", "x"}, {"env", "p"}};
  EXPECT_THAT(List(q), ElementsAre("e"));
  q = all;
  q.lease_worker = "w2";
  EXPECT_THAT(List(q), ElementsAre("d"));
  q = all;
  q.lease_expires_before = 900;
  EXPECT_THAT(List(q), ElementsAre("c"));
  q.lease_expires_before = 901;
  EXPECT_THAT(List(q), ElementsAre("d", "c"));
  q = all;
  q.after_id = "d";
  EXPECT_THAT(List(q), ElementsAre("c", "b", "a"));
  q = all;
  q.tenant = "default";
  q.states = {JobState::kValidating};
  q.labels = {{"team", "y"}};
  q.adapter = "support";
  q.base = "minilm";
  EXPECT_THAT(List(q), ElementsAre("g"));
}

TEST_P(StoreConformanceTest, ListJobsOrdersAndLimits) {
  const auto put = [&](const std::string& id, int priority, TimeUs created, TimeUs expiry) {
    Job job = NewJobRow(id);
    job.state = JobState::kQueued;
    job.priority = priority;
    job.create_time = created;
    job.lease.expiry = expiry;
    ASSERT_TRUE(Put(job).ok());
  };
  put("a", 0, 30, 0);
  put("b", 5, 20, 7);
  put("c", 5, 10, 9);
  put("d", -5, 5, 8);
  put("e", 0, 30, 7);
  JobQuery query;
  query.states = {JobState::kQueued};

  query.order = JobQuery::Order::kRunFirst;
  EXPECT_THAT(List(query), ElementsAre("c", "b", "a", "e", "d"));
  query.order = JobQuery::Order::kLeaseExpiryFirst;
  EXPECT_THAT(List(query), ElementsAre("a", "b", "e", "d", "c"));
  query.order = JobQuery::Order::kNewestFirst;
  query.limit = 2;
  EXPECT_THAT(List(query), ElementsAre("e", "d"));
  query.states.push_back(JobState::kPaused);
  EXPECT_THAT(List(query), ElementsAre("e", "d"));
  query.limit = 0;
  EXPECT_THAT(List(query), IsEmpty());
}

TEST_P(StoreConformanceTest, PagesFollowEachOtherWithoutGapOrOverlap) {
  std::vector<std::string> expected;
  for (int i = 0; i < 57; ++i) {
    Job job = NewJobRow("job-" + std::to_string(100 + i));
    job.state = i % 3 == 0 ? JobState::kQueued : JobState::kPaused;
    ASSERT_TRUE(Put(job).ok());
    expected.insert(expected.begin(), job.key.id);
  }
  JobQuery query;
  query.tenant = "default";
  query.states = {JobState::kQueued, JobState::kPaused};
  query.limit = 10;

  std::vector<std::string> seen;
  while (true) {
    const std::vector<std::string> page = List(query);
    if (page.empty()) break;
    seen.insert(seen.end(), page.begin(), page.end());
    query.after_id = page.back();
  }

  EXPECT_EQ(seen, expected);
}

TEST_P(StoreConformanceTest, VersionsAreFoundByNumberHashAndRequest) {
  ASSERT_TRUE(Do(servers_.first(), [](Transaction& tx) -> Status {
                for (const char* id : {"support", "supporter"}) {
                  Adapter adapter = NewAdapter(id);
                  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
                }
                for (int64_t n = 1; n <= 5; ++n) {
                  Version version = NewVersion("support", n, n % 2 == 0 ? "even" : "odd");
                  if (n == 4) version.request_id = "r4";
                  GRAFT_RETURN_IF_ERROR(tx.PutVersion(version));
                }
                return tx.PutVersion(NewVersion("supporter", 9, "odd"));
              }).ok());
  const auto numbers = [&](int64_t before, size_t limit) {
    std::vector<int64_t> list;
    const auto versions = Look(servers_.second(), [&](Transaction& tx) {
      return tx.ListVersions("default", "support", before, limit);
    });
    EXPECT_TRUE(versions.ok()) << versions.status();
    for (const Version& version : *versions) list.push_back(version.number);
    return list;
  };

  EXPECT_THAT(numbers(0, 10), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(numbers(0, 2), ElementsAre(5, 4));
  EXPECT_THAT(numbers(4, 2), ElementsAre(3, 2));
  EXPECT_TRUE(Look(servers_.second(), [](Transaction& tx) -> StatusOr<int> {
                EXPECT_EQ(tx.GetVersion("default", "support", 3)->sha256, "odd");
                EXPECT_EQ(tx.FindVersionByHash("default", "support", "even")->number, 4);
                EXPECT_EQ(tx.FindVersionByHash("default", "support", "odd")->number, 5);
                EXPECT_EQ((*tx.FindVersionByRequest("default", "r4"))->number, 4);
                EXPECT_FALSE(tx.FindVersionByRequest("other", "r4")->has_value());
                EXPECT_FALSE(tx.FindVersionByRequest("default", "")->has_value());
                return 0;
              }).ok());
}

TEST_P(StoreConformanceTest, AVersionIsWrittenOnceAndNeedsItsAdapter) {
  const auto put = [&](const Version& version) {
    return servers_.first().WriteNow([&](Transaction& tx) { return tx.PutVersion(version); });
  };
  ASSERT_TRUE(Do(servers_.first(), [](Transaction& tx) {
                Adapter adapter = NewAdapter("support");
                return tx.PutAdapter(adapter);
              }).ok());
  Version version = NewVersion("support", 1, "aa");
  version.request_id = "r";
  ASSERT_TRUE(put(version).ok());
  Version same_request = NewVersion("support", 2, "bb");
  same_request.request_id = "r";

  EXPECT_EQ(put(NewVersion("support", 1, "bb")).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(put(same_request).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(put(NewVersion("unknown", 1, "aa")).code(), StatusCode::kNotFound);
}

TEST_P(StoreConformanceTest, AdaptersListByBaseAndPage) {
  ASSERT_TRUE(Do(servers_.first(), [](Transaction& tx) -> Status {
                for (const char* id : {"d", "b", "a", "c"}) {
                  Adapter adapter = NewAdapter(id, id[0] == 'c' ? "other" : "minilm");
                  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
                }
                Adapter foreign = NewAdapter("e");
                foreign.tenant = "other";
                return tx.PutAdapter(foreign);
              }).ok());
  const auto ids = [&](const std::string& base, const std::string& after, size_t limit) {
    std::string joined;
    const auto adapters = Look(servers_.second(), [&](Transaction& tx) {
      return tx.ListAdapters("default", base, after, limit);
    });
    EXPECT_TRUE(adapters.ok()) << adapters.status();
    for (const Adapter& adapter : *adapters) joined += adapter.id;
    return joined;
  };

  EXPECT_EQ(ids("", "", 10), "abcd");
  EXPECT_EQ(ids("", "a", 2), "bc");
  EXPECT_EQ(ids("minilm", "", 10), "abd");
  EXPECT_EQ(ids("minilm", "b", 10), "d");
}

TEST_P(StoreConformanceTest, DeleteAdapterTakesItsVersionsAlong) {
  ASSERT_TRUE(Do(servers_.first(), [](Transaction& tx) -> Status {
                for (const char* id : {"a", "b"}) {
                  Adapter adapter = NewAdapter(id);
                  GRAFT_RETURN_IF_ERROR(tx.PutAdapter(adapter));
                  GRAFT_RETURN_IF_ERROR(tx.PutVersion(NewVersion(id, 1, "aa")));
                }
                return tx.DeleteAdapter("default", "a");
              }).ok());

  EXPECT_TRUE(Look(servers_.second(), [](Transaction& tx) -> StatusOr<int> {
                EXPECT_FALSE(tx.GetAdapter("default", "a").ok());
                EXPECT_TRUE(tx.ListVersions("default", "a", 0, 10)->empty());
                EXPECT_TRUE(tx.GetVersion("default", "b", 1).ok());
                return 0;
              }).ok());
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

TEST_P(StoreConformanceTest, RowsSurviveReopeningInFull) {
  if (!servers_.is_durable()) GTEST_SKIP() << "a memory store keeps nothing";
  Job job = NewJobRow("a");
  job.labels = {{"team", "x \"y\"\n\xC3\xA9"}};
  job.error = core::JobError{
      StatusCode::kInvalidArgument, "bad", {{"BAD_LINE", "dataset", 7, "text", "no"}}, 3};
  job.progress.loss = 0.1;
  job.progress.grad_norm = std::numeric_limits<double>::quiet_NaN();
  job.checkpoint = {"k", "s", 12};
  job.lease = {"w", 4, 5, 6, 7};
  job.attempts = {{1, "w", 2, 3, "RETRY", "why", 0, 9, true}};
  job.evaluations = {{3, "validation", 10, 0.25, 0.5, 0.75}};
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
  EXPECT_EQ(read->lease.token, 4);
  EXPECT_EQ(read->attempts.at(0).end_message, "why");
  EXPECT_TRUE(read->attempts.at(0).made_checkpoint);
  EXPECT_EQ(read->evaluations.at(0).macro_f1, 0.75);
  EXPECT_EQ(read->spec_json, job.spec_json);
  EXPECT_THAT(EventNumbers("a"), ElementsAre(1));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformanceTest,
                         testing::Values(Kind::kMemory, Kind::kSqlite), KindName);

}  // namespace
}  // namespace graft::server::stores
