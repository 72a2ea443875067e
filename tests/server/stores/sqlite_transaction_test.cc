// What a server asks often is answered from an index: no scan, no sort, and no more work when
// thousands of other jobs wait.

#include "server/stores/sqlite_transaction.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "common/base/file.h"
#include "server/stores/sqlite_schema.h"

namespace graft::server::stores {
namespace {

using core::Job;
using core::JobQuery;
using core::JobState;

class SqliteTransactionTest : public testing::Test {
 protected:
  SqliteTransactionTest()
      : folder_(std::move(TempFolder::Create()).value()),
        db_(std::move(Sqlite::Open((folder_.path() / "jobs.db").string(), {})).value()),
        tx_(*db_, SqliteTransaction::Mode::kReadWrite, 1000) {
    EXPECT_TRUE(Migrate(*db_).ok());
    EXPECT_TRUE(db_->Run("BEGIN IMMEDIATE").ok());
    for (int i = 0; i < 2000; ++i) Put(i);
  }

  void Put(int i) {
    // A few run; most wait, of two bases and twenty adapters.
    const JobState states[] = {JobState::kValidating, JobState::kQueued, JobState::kSucceeded};
    Job job;
    job.key = {"default", "job-" + std::to_string(10'000 + i)};
    job.request_id = "request-" + std::to_string(i);
    job.base = i % 2 == 0 ? "minilm" : "gpt2";
    job.adapter = "adapter-" + std::to_string(i % 20);
    job.labels = {{"team", std::to_string(i % 10)}};
    job.priority = i % 5;
    job.create_time = i;
    job.state = i % 100 == 0 ? JobState::kRunning : states[i % 3];
    if (job.state == JobState::kRunning)
      job.lease = {"w" + std::to_string(i % 7), 1, 5000 + i, 0, 0};
    ASSERT_TRUE(tx_.PutJob(job, {core::JobEvent()}).ok());
  }

  /// Expects that the statement with `part` in its text looked only at what it returned.
  void ExpectCheap(const std::string& part, int max_steps) {
    int matching = 0;
    for (sqlite3_stmt* statement = sqlite3_next_stmt(db_->handle(), nullptr); statement != nullptr;
         statement = sqlite3_next_stmt(db_->handle(), statement)) {
      const std::string sql = sqlite3_sql(statement);
      if (sql.find(part) == std::string::npos) continue;
      ++matching;
      const auto status = [&](int what) { return sqlite3_stmt_status(statement, what, 1); };
      EXPECT_LE(status(SQLITE_STMTSTATUS_FULLSCAN_STEP), 10) << sql;
      EXPECT_EQ(status(SQLITE_STMTSTATUS_SORT), 0) << sql;
      EXPECT_LT(status(SQLITE_STMTSTATUS_VM_STEP), max_steps) << sql;
    }
    EXPECT_EQ(matching, 1) << part;
  }
  void List(const JobQuery& query, size_t expected) {
    const auto jobs = tx_.ListJobs(query);
    ASSERT_TRUE(jobs.ok()) << jobs.status();
    EXPECT_EQ(jobs->size(), expected);
  }

  TempFolder folder_;
  std::unique_ptr<Sqlite> db_;
  SqliteTransaction tx_;
};

TEST_F(SqliteTransactionTest, AWorkersClaim) {
  JobQuery query;
  query.states = {JobState::kQueued};
  query.base = "gpt2";
  query.order = JobQuery::Order::kRunFirst;
  query.limit = 4;

  List(query, 4);

  ExpectCheap("jobs_run", 200);
}

TEST_F(SqliteTransactionTest, WhatAWorkerLooksAtNextFarBack) {
  JobQuery query;
  query.states = {JobState::kQueued};
  query.base = "gpt2";
  query.order = JobQuery::Order::kRunFirst;
  query.after_place = {.priority = 1, .create_time = 1990, .key = {"default", "job-11990"}};
  query.limit = 4;

  List(query, 4);

  ExpectCheap("priority = ?", 200);
  ExpectCheap("priority < ?", 200);
}

TEST_F(SqliteTransactionTest, TheNextJobsToValidate) {
  JobQuery query;
  query.states = {JobState::kValidating};
  query.order = JobQuery::Order::kRunFirst;
  query.limit = 4;

  List(query, 4);

  ExpectCheap("jobs_validate", 200);
}

TEST_F(SqliteTransactionTest, LeasesThatExpired) {
  JobQuery query;
  query.states = {JobState::kRunning};
  query.order = JobQuery::Order::kLeaseExpiryFirst;
  query.lease_expires_before = 5301;

  List(query, 4);

  ExpectCheap("jobs_expiry", 200);
}

TEST_F(SqliteTransactionTest, APageOfATenantsJobs) {
  JobQuery query;
  query.tenant = "default";
  query.after_id = "job-11500";
  query.limit = 10;

  List(query, 10);

  ExpectCheap("id < ?", 300);
}

TEST_F(SqliteTransactionTest, APageOfOneStateOrSeveral) {
  JobQuery query;
  query.tenant = "default";
  query.states = {JobState::kSucceeded, JobState::kQueued};
  query.limit = 10;

  List(query, 10);

  ExpectCheap("state = 2", 300);
  ExpectCheap("state = 5", 300);
}

TEST_F(SqliteTransactionTest, APageOfAnAdaptersJobs) {
  JobQuery query;
  query.tenant = "default";
  query.adapter = "adapter-7";
  query.limit = 10;

  List(query, 10);

  ExpectCheap("adapter = ?", 300);
}

TEST_F(SqliteTransactionTest, OneJobItsEventsAndItsRequest) {
  ASSERT_TRUE(tx_.GetJob({"default", "job-10500"}).ok());
  ASSERT_EQ(tx_.ListEvents({"default", "job-10500"}, 0, 10)->size(), 1U);
  ASSERT_TRUE(tx_.FindJobByRequest("default", "request-500")->has_value());

  ExpectCheap("SELECT doc FROM jobs WHERE tenant = ? AND id = ?", 100);
  ExpectCheap("SELECT doc FROM events", 100);
  ExpectCheap("request_id <> ''", 100);
}

TEST_F(SqliteTransactionTest, ADeadWorkersJobs) {
  JobQuery query;
  query.states = {JobState::kRunning};
  query.lease_worker = "w3";
  query.order = JobQuery::Order::kLeaseExpiryFirst;

  const auto jobs = tx_.ListJobs(query);

  ASSERT_TRUE(jobs.ok()) << jobs.status();
  for (const Job& job : *jobs) EXPECT_EQ(job.lease.worker, "w3");
  EXPECT_EQ(jobs->size(), 3U);
}

}  // namespace
}  // namespace graft::server::stores
