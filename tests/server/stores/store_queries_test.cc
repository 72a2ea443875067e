// Lists and look-ups of every store, written through one server and read through another.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/stores/store_test_base.h"

namespace graft::server::stores {
namespace {

using core::JobState;
using testing::ElementsAre;
using testing::IsEmpty;

class StoreQueriesTest : public StoreTest {};

TEST_P(StoreQueriesTest, UnknownRowsAreNotFound) {
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

TEST_P(StoreQueriesTest, ListJobsHoldsToEachCondition) {
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

TEST_P(StoreQueriesTest, QueuedBasesAreEachNamedOnce) {
  const auto put = [&](const std::string& id, const std::string& base, JobState state) {
    Job job = NewJobRow(id);
    job.base = base;
    job.state = state;
    ASSERT_TRUE(Put(job).ok());
  };
  const auto bases = [&] {
    return *Look(servers_.second(), [](Transaction& tx) { return tx.QueuedBases(); });
  };
  EXPECT_THAT(bases(), IsEmpty());
  put("a", "zebra", JobState::kQueued);
  put("b", "minilm", JobState::kQueued);
  put("c", "minilm", JobState::kQueued);
  put("d", "running", JobState::kRunning);
  put("e", "ended", JobState::kFailed);

  EXPECT_THAT(bases(), ElementsAre("minilm", "zebra"));
}

TEST_P(StoreQueriesTest, ListJobsOrdersAndLimits) {
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

TEST_P(StoreQueriesTest, JobsThatAreNotReadyYetAreLeftOut) {
  const auto put = [&](const std::string& id, TimeUs not_before) {
    Job job = NewJobRow(id);
    job.state = JobState::kQueued;
    job.not_before = not_before;
    ASSERT_TRUE(Put(job).ok());
  };
  put("a", 0);
  put("b", 500);
  put("c", 501);
  JobQuery query;
  query.states = {JobState::kQueued};
  query.base = "minilm";
  query.order = JobQuery::Order::kRunFirst;

  EXPECT_THAT(List(query), ElementsAre("a", "b", "c"));
  query.ready_at = 500;
  EXPECT_THAT(List(query), ElementsAre("a", "b"));
  query.limit = 1;
  query.ready_at = 0;
  EXPECT_THAT(List(query), ElementsAre("a"));
}

TEST_P(StoreQueriesTest, TheJobsBehindAPlaceAreThoseThatRunAfterIt) {
  const auto put = [&](const std::string& id, int priority, TimeUs created,
                       const std::string& tenant = "default") {
    Job job = NewJobRow(id, tenant);
    job.state = JobState::kQueued;
    job.priority = priority;
    job.create_time = created;
    ASSERT_TRUE(Put(job).ok());
  };
  put("a", 0, 30);
  put("b", 5, 20);
  put("c", 5, 10);
  put("d", -5, 5);
  put("e", 0, 30);
  put("e", 0, 30, "other");
  JobQuery query;
  query.states = {JobState::kQueued};
  query.base = "minilm";
  query.order = JobQuery::Order::kRunFirst;
  const auto behind = [&](int priority, TimeUs created, const core::JobKey& key) {
    query.after_place = {.priority = priority, .create_time = created, .key = key};
    return List(query);
  };

  EXPECT_THAT(behind(9, 0, {}), ElementsAre("c", "b", "a", "e", "e", "d"));
  EXPECT_THAT(behind(5, 10, {"default", "c"}), ElementsAre("b", "a", "e", "e", "d"));
  EXPECT_THAT(behind(5, 15, {"default", "gone"}), ElementsAre("b", "a", "e", "e", "d"));
  EXPECT_THAT(behind(0, 30, {"default", "a"}), ElementsAre("e", "e", "d"));
  EXPECT_THAT(behind(0, 30, {"default", "e"}), ElementsAre("e", "d")) << "of the other tenant";
  EXPECT_THAT(behind(-5, 5, {"default", "d"}), IsEmpty());
  query.states.push_back(JobState::kPaused);
  EXPECT_THAT(behind(5, 20, {"default", "b"}), ElementsAre("a", "e", "e", "d"));
  query.limit = 2;
  EXPECT_THAT(behind(5, 10, {"default", "c"}), ElementsAre("b", "a"));
  query.order = JobQuery::Order::kNewestFirst;
  query.limit = 50;
  EXPECT_THAT(List(query), ElementsAre("e", "e", "d", "c", "b", "a")) << "of that order alone";
}

TEST_P(StoreQueriesTest, PagesFollowEachOtherWithoutGapOrOverlap) {
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

TEST_P(StoreQueriesTest, VersionsAreFoundByNumberHashAndRequest) {
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

TEST_P(StoreQueriesTest, AVersionIsWrittenOnceAndNeedsItsAdapter) {
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

TEST_P(StoreQueriesTest, AdaptersListByBaseAndPage) {
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

TEST_P(StoreQueriesTest, DeleteAdapterTakesItsVersionsAlong) {
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

INSTANTIATE_TEST_SUITE_P(Stores, StoreQueriesTest, testing::Values(Kind::kMemory, Kind::kSqlite),
                         KindName);

}  // namespace
}  // namespace graft::server::stores
