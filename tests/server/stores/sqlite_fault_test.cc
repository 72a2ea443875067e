// The SQLite store on a disk that fills up, fails, loses power or was damaged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <future>
#include <set>

#include "server/stores/sqlite_store.h"
#include "tests/server/stores/fault_vfs.h"
#include "tests/server/stores/store_fixture.h"

namespace graft::server::stores {
namespace {

using core::Job;
using core::JobEvent;
using core::Transaction;
using testing::HasSubstr;

class SqliteFaultTest : public testing::Test {
 protected:
  SqliteFaultTest() : folder_(std::move(TempFolder::Create()).value()) { FaultVfs::Get().Clear(); }
  ~SqliteFaultTest() override { FaultVfs::Get().Clear(); }

  std::string path() const { return (folder_.path() / "jobs.db").string(); }

  std::unique_ptr<SqliteStore> Open(const std::string& vfs = FaultVfs::kName) {
    SqliteOptions options;
    options.vfs = vfs;
    auto store = SqliteStore::Open(path(), clock_, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(store).value();
  }

  static core::Store::Work Put(const std::string& id, size_t bytes = 100) {
    return [id, bytes](Transaction& tx) {
      Job job;
      job.key = {"default", id};
      job.base = "minilm";
      job.labels = {{"id", id}};
      job.spec_json = std::string(bytes, 'x');
      JobEvent event;
      event.reason = "CREATED";
      return tx.PutJob(job, {event, event});
    };
  }
  static bool Has(core::Store& store, const std::string& id) {
    const auto found = Look(store, [&](Transaction& tx) -> StatusOr<bool> {
      const StatusOr<Job> job = tx.GetJob({"default", id});
      GRAFT_ASSIGN_OR_RETURN(const auto events, tx.ListEvents({"default", id}, 0, 10));
      EXPECT_EQ(events.size(), job.ok() ? 2U : 0U) << "a row and its events go together";
      return job.ok();
    });
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() && *found;
  }

  FakeClock clock_;
  TempFolder folder_;
};

/// Fails at the first, second, ... write or sync of a transaction, until one gets through.
class SqliteFullDiskTest : public SqliteFaultTest,
                           public testing::WithParamInterface<std::pair<int, StatusCode>> {};

TEST_P(SqliteFullDiskTest, NothingIsHalfWrittenAndLaterWritesWork) {
  const auto [code, expected] = GetParam();
  auto store = Open();
  ASSERT_TRUE(store->WriteNow(Put("before")).ok());
  int failures = 0;
  for (int n = 0;; ++n) {
    const std::string id = "job-" + std::to_string(n);
    FaultVfs::Get().FailAfter(n, code);

    const Status status = store->WriteNow(Put(id, 20'000));

    const bool struck = FaultVfs::Get().has_struck();
    FaultVfs::Get().Heal();
    EXPECT_EQ(Has(*store, id), status.ok()) << n;
    if (!struck) {
      EXPECT_TRUE(status.ok()) << status;
      break;
    }
    ++failures;
    EXPECT_EQ(status.code(), expected) << n << ": " << status;
    EXPECT_TRUE(store->WriteNow(Put("after-" + std::to_string(n))).ok());
  }
  EXPECT_GT(failures, 5);
  store.reset();
  store = Open();
  EXPECT_TRUE(Has(*store, "before"));
  for (int n = 0; n < failures; ++n) EXPECT_TRUE(Has(*store, "after-" + std::to_string(n)));
}

INSTANTIATE_TEST_SUITE_P(Faults, SqliteFullDiskTest,
                         testing::Values(std::pair{SQLITE_FULL, StatusCode::kResourceExhausted},
                                         std::pair{SQLITE_IOERR_WRITE, StatusCode::kUnavailable},
                                         std::pair{SQLITE_IOERR_FSYNC, StatusCode::kUnavailable}));

/// Holds the writer thread inside a work until released, so that later works share a commit.
class Gate {
 public:
  core::Store::Work Work() {
    return [this](Transaction&) {
      entered_.set_value();
      open_.get_future().wait();
      return OkStatus();
    };
  }
  void WaitUntilEntered() { entered_.get_future().wait(); }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> entered_, open_;
};

TEST_F(SqliteFaultTest, AWorkTooLargeForTheDiskTakesNoOtherWithIt) {
  auto store = Open();
  ASSERT_TRUE(store->WriteNow(Put("before")).ok());
  FaultVfs::Get().FillUpAt(1 << 20);
  Gate gate;
  std::vector<std::promise<Status>> done(4);
  const auto end = [&](size_t i) { return [&, i](Status s) { done[i].set_value(std::move(s)); }; };

  store->Write(gate.Work(), end(0));
  gate.WaitUntilEntered();
  store->Write(Put("small-1"), end(1));
  store->Write(Put("large", 4 << 20), end(2));
  store->Write(Put("small-2"), end(3));
  gate.Open();

  EXPECT_TRUE(done[0].get_future().get().ok());
  EXPECT_TRUE(done[1].get_future().get().ok());
  EXPECT_EQ(done[2].get_future().get().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(done[3].get_future().get().ok());
  EXPECT_TRUE(Has(*store, "small-1"));
  EXPECT_FALSE(Has(*store, "large"));
  EXPECT_TRUE(Has(*store, "small-2"));
}

TEST_F(SqliteFaultTest, OneFailedWorkLeavesTheOthersOfItsCommit) {
  auto store = Open();
  Gate gate;
  std::vector<std::promise<Status>> done(4);
  const auto end = [&](size_t i) { return [&, i](Status s) { done[i].set_value(std::move(s)); }; };

  store->Write(gate.Work(), end(0));
  gate.WaitUntilEntered();
  store->Write(Put("first"), end(1));
  store->Write(
      [](Transaction& tx) -> Status {
        GRAFT_RETURN_IF_ERROR(Put("refused")(tx));
        return AbortedError("no");
      },
      end(2));
  store->Write(Put("last"), end(3));
  gate.Open();

  EXPECT_TRUE(done[1].get_future().get().ok());
  EXPECT_EQ(done[2].get_future().get(), AbortedError("no"));
  EXPECT_TRUE(done[3].get_future().get().ok());
  EXPECT_TRUE(Has(*store, "first"));
  EXPECT_FALSE(Has(*store, "refused"));
  EXPECT_TRUE(Has(*store, "last"));
}

TEST_F(SqliteFaultTest, AcknowledgedWritesSurviveALossOfPower) {
  constexpr int kWrites = 250;
  PhiloxSequence random(3, RandomStream::kShuffle);
  std::mutex mutex;
  std::condition_variable wake;
  std::set<std::string> acknowledged;
  int ended = 0;
  auto store = Open();
  for (int i = 0; i < kWrites; ++i) {
    const std::string id = "job-" + std::to_string(i);
    // Large enough that the WAL is moved into the database several times meanwhile.
    store->Write(Put(id, 30'000 + random.NextBelow(60'000)), [&, id](const Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      const std::lock_guard lock(mutex);
      acknowledged.insert(id);
      ++ended;
      wake.notify_one();
    });
    if (i % 20 != 19) continue;
    // The power fails somewhere in the middle of these twenty.
    std::set<std::string> expected;
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return ended >= i - 15; });
      expected = acknowledged;
    }
    const TempFolder found = std::move(TempFolder::Create()).value();
    FaultVfs::Get().LosePower(found.path(), random);

    auto after = SqliteStore::Open((found.path() / "jobs.db").string(), clock_);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_GT(expected.size(), 0U);
    for (const std::string& one : expected) EXPECT_TRUE(Has(**after, one)) << one;
    EXPECT_TRUE((*after)->WriteNow(Put("next")).ok());
  }
  store.reset();
  EXPECT_EQ(ended, kWrites);
}

TEST_F(SqliteFaultTest, ATornLogKeepsAPrefixOfTheCommits) {
  constexpr int kWrites = 12;
  const TempFolder copy = std::move(TempFolder::Create()).value();
  {
    auto store = Open("");
    for (int i = 0; i < kWrites; ++i) {
      ASSERT_TRUE(store->WriteNow(Put("job-" + std::to_string(i))).ok());
    }
    // As a crash leaves it: closing would move the log into the database.
    for (const char* name : {"jobs.db", "jobs.db-wal"}) {
      std::filesystem::copy(folder_.path() / name, copy.path() / name);
    }
  }
  const auto log_size = std::filesystem::file_size(copy.path() / "jobs.db-wal");
  int last = -1;
  for (uintmax_t size = 0; last < kWrites; size = std::min(size + 4001, log_size)) {
    const TempFolder torn = std::move(TempFolder::Create()).value();
    for (const char* name : {"jobs.db", "jobs.db-wal"}) {
      std::filesystem::copy(copy.path() / name, torn.path() / name);
    }
    std::filesystem::resize_file(torn.path() / "jobs.db-wal", size);

    auto store = SqliteStore::Open((torn.path() / "jobs.db").string(), clock_);

    ASSERT_TRUE(store.ok()) << size << ": " << store.status();
    int count = 0;
    while (count < kWrites && Has(**store, "job-" + std::to_string(count))) ++count;
    for (int i = count; i < kWrites; ++i) {
      EXPECT_FALSE(Has(**store, "job-" + std::to_string(i))) << "a gap";
    }
    EXPECT_GE(count, last);
    last = count;
    ASSERT_TRUE(size < log_size || count == kWrites);
  }
  EXPECT_EQ(last, kWrites);
}

TEST_F(SqliteFaultTest, AFileThatIsNoDatabaseIsDataLoss) {
  std::ofstream(path()) << std::string(5000, 'x');

  const auto store = SqliteStore::Open(path(), clock_);

  EXPECT_EQ(store.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(store.status().message(), HasSubstr("jobs.db"));
  EXPECT_EQ(std::filesystem::file_size(path()), 5000U) << "it is left as it was";
}

TEST_F(SqliteFaultTest, ADamagedPageIsDataLoss) {
  {
    auto store = Open("");
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(store->WriteNow(Put("job-" + std::to_string(i))).ok());
  }
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  for (int page = 1; page < 12; ++page) {
    file.seekp(page * 4096);
    file << std::string(200, '\xA5');
  }
  file.close();

  const auto store = SqliteStore::Open(path(), clock_);

  EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status();
}

TEST_F(SqliteFaultTest, AnotherProgramsDatabaseIsLeftAlone) {
  ASSERT_TRUE((*Sqlite::Open(path(), {}))->Execute("CREATE TABLE notes (text TEXT)").ok());

  EXPECT_EQ(SqliteStore::Open(path(), clock_).status().code(), StatusCode::kDataLoss);
}

TEST_F(SqliteFaultTest, ANewerSchemaIsRefused) {
  Open("").reset();
  ASSERT_TRUE((*Sqlite::Open(path(), {}))->Execute("PRAGMA user_version=99").ok());

  const auto store = SqliteStore::Open(path(), clock_);

  EXPECT_EQ(store.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("newer graft"));
}

TEST_F(SqliteFaultTest, AFolderThatIsMissingIsAnError) {
  const auto store = SqliteStore::Open((folder_.path() / "none" / "jobs.db").string(), clock_);

  EXPECT_EQ(store.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(store.status().message(), HasSubstr("none/jobs.db"));
}

TEST_F(SqliteFaultTest, AWriteWaitsForAnotherProcessAndGivesUpInTheEnd) {
  SqliteOptions options;
  options.busy_timeout = std::chrono::milliseconds(50);
  auto store = SqliteStore::Open(path(), clock_, options);
  ASSERT_TRUE(store.ok()) << store.status();
  auto other = Sqlite::Open(path(), {});
  ASSERT_TRUE((*other)->Execute("BEGIN IMMEDIATE").ok());

  EXPECT_EQ((*store)->WriteNow(Put("a")).code(), StatusCode::kUnavailable);
  EXPECT_FALSE(Has(**store, "a")) << "reads go on meanwhile";

  ASSERT_TRUE((*other)->Execute("ROLLBACK").ok());
  EXPECT_TRUE((*store)->WriteNow(Put("a")).ok());
  EXPECT_TRUE(Has(**store, "a"));
}

TEST_F(SqliteFaultTest, ManyOpenOneNewFileAtOnce) {
  std::vector<std::future<Status>> opened;
  for (int i = 0; i < 8; ++i) {
    opened.push_back(std::async(std::launch::async, [this, i]() -> Status {
      auto store = SqliteStore::Open(path(), clock_);
      if (!store.ok()) return store.status();
      return (*store)->WriteNow(Put("job-" + std::to_string(i)));
    }));
  }

  for (auto& one : opened) {
    const Status status = one.get();
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace graft::server::stores
