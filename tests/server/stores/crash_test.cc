// Processes that write to one SQLite store are killed in the middle. What was acknowledged is
// there afterwards, whole, and the store goes on working.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <set>

#include "common/base/random.h"
#include "server/core/jobs.h"
#include "server/stores/sqlite_store.h"
#include "tests/server/stores/store_fixture.h"

extern char** environ;

namespace graft::server::stores {
namespace {

using core::Job;
using core::Transaction;

/// A crash_writer under way.
class Writer {
 public:
  Writer(const std::string& path, const std::string& name, int count,
         const std::string& failpoints = {}) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const std::string number = std::to_string(count);
    std::vector<const char*> argv = {GRAFT_CRASH_WRITER, path.c_str(), name.c_str(),
                                     number.c_str()};
    if (!failpoints.empty()) argv.push_back(failpoints.c_str());
    argv.push_back(nullptr);
    EXPECT_EQ(
        ::posix_spawn(&pid_, argv[0], &actions, nullptr, const_cast<char**>(argv.data()), environ),
        0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Writer() {
    if (pid_ > 0) Kill();
    std::fclose(out_);
  }

  /// Reads until it has said `n` acknowledgements, or ended.
  void ReadUntil(size_t n) {
    while (acknowledged_.size() < n && ReadLine()) {
    }
  }
  /// Kills it, if it still runs, and reads what it said until then.
  void Kill() {
    ::kill(pid_, SIGKILL);
    Wait();
  }
  /// Reads to its end. Returns the signal that ended it; 0 if it ended by itself.
  int Wait() {
    while (ReadLine()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
  const std::set<std::string>& acknowledged() const { return acknowledged_; }

 private:
  bool ReadLine() {
    char line[200];
    if (std::fgets(line, sizeof(line), out_) == nullptr) return false;
    const std::string text(line);
    if (text.starts_with("ack ") && text.ends_with("\n")) {
      acknowledged_.insert(text.substr(4, text.size() - 5));
    }
    return true;
  }

  pid_t pid_ = -1;
  std::FILE* out_ = nullptr;
  std::set<std::string> acknowledged_;
};

class CrashTest : public testing::Test {
 protected:
  CrashTest() : folder_(std::move(TempFolder::Create()).value()) {}
  std::string path() const { return (folder_.path() / "jobs.db").string(); }

  /// The request_ids of all jobs, each of which is checked to be whole.
  std::set<std::string> Stored() {
    auto store = SqliteStore::Open(path());
    EXPECT_TRUE(store.ok()) << store.status();
    std::set<std::string> ids;
    const Status status = (*store)->ReadNow([&](Transaction& tx) -> Status {
      core::JobQuery all;
      all.limit = 1'000'000;
      GRAFT_ASSIGN_OR_RETURN(const std::vector<Job> jobs, tx.ListJobs(all));
      for (const Job& job : jobs) {
        GRAFT_ASSIGN_OR_RETURN(const auto events, tx.ListEvents(job.key, 0, 10));
        EXPECT_EQ(events.size(), 1U) << "a row and its event go together";
        GRAFT_ASSIGN_OR_RETURN(const auto by_request,
                               tx.FindJobByRequest("default", job.request_id));
        EXPECT_TRUE(by_request && by_request->key == job.key);
        EXPECT_TRUE(ids.insert(job.request_id).second) << "no request makes two jobs";
      }
      return OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return ids;
  }
  static void ExpectAll(const std::set<std::string>& wanted, const std::set<std::string>& there) {
    for (const std::string& id : wanted) EXPECT_TRUE(there.contains(id)) << id;
  }

  TempFolder folder_;
};

TEST_F(CrashTest, AcknowledgedWritesSurviveAKillAtRandomMoments) {
  PhiloxSequence random(11, RandomStream::kShuffle);
  std::set<std::string> acknowledged;
  for (int round = 0; round < 15; ++round) {
    Writer writer(path(), "w" + std::to_string(round), 100'000);
    writer.ReadUntil(1 + random.NextBelow(60));
    writer.Kill();
    EXPECT_GT(writer.acknowledged().size(), 0U);
    acknowledged.insert(writer.acknowledged().begin(), writer.acknowledged().end());

    ExpectAll(acknowledged, Stored());
  }
}

TEST_F(CrashTest, TwoProcessesShareAStoreAndOneOutlivesTheOther) {
  Writer killed(path(), "killed", 100'000);
  Writer kept(path(), "kept", 300);
  killed.ReadUntil(40);
  killed.Kill();
  EXPECT_EQ(kept.Wait(), 0);

  const std::set<std::string> there = Stored();

  EXPECT_EQ(kept.acknowledged().size(), 300U);
  ExpectAll(killed.acknowledged(), there);
  ExpectAll(kept.acknowledged(), there);
}

TEST_F(CrashTest, ManyProcessesOpenOneNewStoreAtOnce) {
  for (int round = 0; round < 12; ++round) {
    const std::string fresh = (folder_.path() / ("new-" + std::to_string(round))).string();
    std::vector<std::unique_ptr<Writer>> writers;
    for (int i = 0; i < 6; ++i) {
      writers.push_back(std::make_unique<Writer>(fresh, "w" + std::to_string(i), 2));
    }
    for (const auto& writer : writers) {
      EXPECT_EQ(writer->Wait(), 0);
      EXPECT_EQ(writer->acknowledged().size(), 2U) << "round " << round;
    }
  }
}

TEST_F(CrashTest, ACrashBeforeTheCommitLeavesNothingOfIt) {
  Writer writer(path(), "w", 1, "store.before_commit=crash");
  EXPECT_EQ(writer.Wait(), SIGKILL);

  EXPECT_TRUE(writer.acknowledged().empty());
  EXPECT_TRUE(Stored().empty());
}

TEST_F(CrashTest, ACrashAfterTheCommitKeepsItAndARetryFindsIt) {
  {
    Writer writer(path(), "w", 1, "store.after_commit=crash");
    EXPECT_EQ(writer.Wait(), SIGKILL);
    EXPECT_TRUE(writer.acknowledged().empty());
  }
  EXPECT_EQ(Stored(), std::set<std::string>{"w-0"});

  Writer retry(path(), "w", 1);
  EXPECT_EQ(retry.Wait(), 0);

  EXPECT_EQ(retry.acknowledged(), std::set<std::string>{"w-0"});
  EXPECT_EQ(Stored().size(), 1U);
}

TEST_F(CrashTest, AFailedCommitIsReportedAndLaterOnesWork) {
  Writer writer(path(), "w", 20, "store.before_commit=error");
  EXPECT_EQ(writer.Wait(), 0);

  EXPECT_LT(writer.acknowledged().size(), 20U);
  EXPECT_GT(writer.acknowledged().size(), 0U);
  EXPECT_EQ(Stored(), writer.acknowledged());
}

}  // namespace
}  // namespace graft::server::stores
