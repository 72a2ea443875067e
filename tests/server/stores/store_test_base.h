#pragma once
/// What the conformance tests of stores share: small rows, and one-line reads and writes that go
/// through different servers.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/stores/store_fixture.h"

namespace graft::server::stores {

using core::Adapter;
using core::Job;
using core::JobEvent;
using core::JobQuery;
using core::Transaction;
using core::Version;

inline Job NewJobRow(const std::string& id, const std::string& tenant = "default") {
  Job job;
  job.key = {tenant, id};
  job.base = "minilm";
  job.adapter = "support";
  job.create_time = 1000;
  return job;
}

inline JobEvent Warning(const std::string& text) {
  JobEvent event;
  event.kind = core::EventKind::kWarning;
  event.text = text;
  return event;
}

inline Adapter NewAdapter(const std::string& id, const std::string& base = "minilm") {
  Adapter adapter;
  adapter.tenant = "default";
  adapter.id = id;
  adapter.base = base;
  return adapter;
}

inline Version NewVersion(const std::string& adapter, int64_t number, const std::string& sha256) {
  Version version;
  version.tenant = "default";
  version.adapter = adapter;
  version.number = number;
  version.sha256 = sha256;
  return version;
}

class StoreTest : public testing::TestWithParam<Kind> {
 protected:
  StoreTest() : servers_(GetParam()) {}

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

}  // namespace graft::server::stores
