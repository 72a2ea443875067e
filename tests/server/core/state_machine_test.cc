// Every state of a job against everything that can happen to one.

#include <map>
#include <sstream>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

// A cell is the state that follows, or the code of the error that leaves the job untouched;
// "." stands for: nothing happens, and that is fine. Columns: claim and finish a validation, fail
// it, the user's cancel, pause, resume and delete, a worker's acquire, renewal and its six kinds of
// completion with the current token, and a look for expired leases a minute later.
constexpr char kTable[] = R"(
state       finish  badata  cancel  pause   resume  delete  acquire renew  success failed  retry   release paused  cancld  expire
NEW         QUEUED  FAILED  CANCEL  precond precond precond .       lost   aborted aborted aborted aborted aborted aborted .
CLAIMED     QUEUED  FAILED  CANCEL  precond precond precond .       lost   aborted aborted aborted aborted aborted aborted .
QUEUED      precond precond CANCEL  PAUSED  precond precond RUNNING lost   aborted aborted aborted aborted aborted aborted .
RUNNING     precond precond .       .       precond precond .       .      SUCCESS FAILED  QUEUED  QUEUED  QUEUED  QUEUED  QUEUED
PAUSING     precond precond .       .       .       precond .       .      SUCCESS FAILED  PAUSED  PAUSED  PAUSED  PAUSED  PAUSED
CANCELLING  precond precond .       precond precond precond .       .      SUCCESS FAILED  CANCEL  CANCEL  CANCEL  CANCEL  CANCEL
PAUSED      precond precond CANCEL  .       QUEUED  precond .       lost   aborted aborted aborted aborted .       aborted .
SUCCEEDED   precond precond precond precond precond gone    .       lost   .       aborted aborted aborted aborted aborted .
FAILED      precond precond precond precond precond gone    .       lost   aborted .       aborted aborted aborted aborted .
CANCELLED   precond precond .       precond precond gone    .       lost   aborted aborted aborted aborted aborted .       .
)";

class StateMachineTest : public CoreFixture {
 protected:
  /// A job in the state that a row of the table begins with.
  JobKey In(const std::string& state) {
    if (state == "NEW") return Create();
    if (state == "QUEUED") return Queued();
    if (state == "CLAIMED") {
      const JobKey key = Create();
      EXPECT_TRUE(Claim(key).ok());
      return key;
    }
    const Job job = Running();
    if (state == "PAUSING" || state == "PAUSED") (void)Pause(job.key);
    if (state == "CANCELLING" || state == "CANCELLED") (void)Cancel(job.key);
    const std::map<std::string, Outcome> outcomes = {{"PAUSED", Outcome::kPaused},
                                                     {"SUCCEEDED", Outcome::kSucceeded},
                                                     {"FAILED", Outcome::kFailed},
                                                     {"CANCELLED", Outcome::kCancelled}};
    if (const auto outcome = outcomes.find(state); outcome != outcomes.end()) {
      EXPECT_TRUE(Complete(Ended(job, outcome->second)).ok());
    }
    return job.key;
  }

  Status Apply(const std::string& operation, const JobKey& key) {
    const Job job = Get(key);
    if (operation == "finish") {
      if (job.lease.expiry == 0) (void)Claim(key);
      return Validated(key).status();
    }
    if (operation == "badata") {
      if (job.lease.expiry == 0) (void)Claim(key);
      return Do([&](Transaction& tx) {
               return FailValidation(tx, key, Get(tx, key).lease.token,
                                     ToJobError(DataLossError("x")));
             })
          .status();
    }
    if (operation == "cancel") return Cancel(key).status();
    if (operation == "pause") return Pause(key).status();
    if (operation == "resume") return Resume(key).status();
    if (operation == "delete") return Do([&](Transaction& tx) { return DeleteJob(tx, key); });
    if (operation == "acquire") return (void)Acquire("worker-2"), OkStatus();
    if (operation == "renew") {
      const StatusOr<LeaseVerdict> verdict = Renew(ReportOf(job, 1));
      EXPECT_TRUE(verdict.ok()) << verdict.status();
      return verdict->lost ? CancelledError("lost") : OkStatus();
    }
    if (operation == "expire") {
      clock_.Advance(60 * kSecond);
      return Expire().status();
    }
    const std::map<std::string, Outcome> outcomes = {
        {"success", Outcome::kSucceeded}, {"failed", Outcome::kFailed},
        {"retry", Outcome::kRetry},       {"release", Outcome::kReleased},
        {"paused", Outcome::kPaused},     {"cancld", Outcome::kCancelled}};
    return Complete(Ended(job, outcomes.at(operation))).status();
  }

  static Job Get(Transaction& tx, const JobKey& key) { return *tx.GetJob(key); }
  using CoreFixture::Get;
};

TEST_F(StateMachineTest, EveryStateAnswersEveryOperationAsTheTableSays) {
  const std::map<std::string, JobState> states = {
      {"QUEUED", JobState::kQueued}, {"RUNNING", JobState::kRunning},
      {"PAUSED", JobState::kPaused}, {"SUCCESS", JobState::kSucceeded},
      {"FAILED", JobState::kFailed}, {"CANCEL", JobState::kCancelled},
  };
  const std::map<std::string, StatusCode> codes = {{"precond", StatusCode::kFailedPrecondition},
                                                   {"aborted", StatusCode::kAborted},
                                                   {"lost", StatusCode::kCancelled}};
  std::istringstream table(kTable);
  std::string line;
  std::getline(table, line);
  std::getline(table, line);
  std::istringstream head(line);
  std::string word;
  std::vector<std::string> operations;
  for (head >> word; head >> word;) operations.push_back(word);
  int cells = 0;

  while (std::getline(table, line)) {
    std::istringstream row(line);
    std::string state;
    row >> state;
    for (const std::string& operation : operations) {
      std::string expected;
      ASSERT_TRUE(row >> expected) << line;
      SCOPED_TRACE(state + " and " + operation);
      const JobKey key = In(state);
      const Job before = Get(key);
      const Status status = Apply(operation, key);
      ++cells;
      if (expected == "gone") {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(Do([&](Transaction& tx) { return tx.GetJob(key); }).status().code(),
                  StatusCode::kNotFound);
        continue;
      }
      const Job after = Get(key);
      const auto events = Events(key);
      for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].number, int64_t(i) + 1);
      EXPECT_EQ(events.size(), static_cast<size_t>(after.num_events));
      if (const auto code = codes.find(expected); code != codes.end()) {
        EXPECT_EQ(status.code(), code->second) << status;
        EXPECT_FALSE(status.message().empty());
        EXPECT_EQ(after.revision, before.revision);
      } else if (expected == ".") {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(JobStateName(after.state), JobStateName(before.state));
        EXPECT_EQ(after.num_events, before.num_events);
      } else {
        ASSERT_TRUE(states.contains(expected)) << expected;
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(JobStateName(after.state), JobStateName(states.at(expected)));
        EXPECT_EQ(events.back().kind, EventKind::kStateChange);
        EXPECT_EQ(events.back().to, after.state);
        EXPECT_EQ(IsTerminal(after.state), after.end_time != 0);
        EXPECT_EQ(after.state == JobState::kRunning, after.lease.expiry != 0);
        EXPECT_EQ(after.error.has_value(), after.state == JobState::kFailed);
      }
      // The table's next cell starts from an empty queue.
      (void)Cancel(key);
    }
  }
  EXPECT_EQ(cells, 150);
}

}  // namespace
}  // namespace graft::server::core
