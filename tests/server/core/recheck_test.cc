// What was checked when a job was created is checked again before it runs: jobs that wait together
// can exclude one another.

#include <gmock/gmock.h>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RecheckTest : public CoreFixture {
 protected:
  /// One of the jobs that all make the adapter "support".
  static NewJob On(const std::string& base) {
    NewJob job = Asked();
    job.base = base;
    return job;
  }
  AcquiredLeases AcquireAll(int max = 10) {
    const auto acquired = AcquireFor({"worker-1", {"gpt2", "minilm"}, max});
    EXPECT_TRUE(acquired.ok()) << acquired.status();
    return acquired.ok() ? *acquired : AcquiredLeases();
  }
  /// As an import makes it.
  void MakeAdapter(const std::string& base) {
    Version version;
    version.tenant = "default";
    version.adapter = "support";
    version.base = base;
    version.sha256 = std::string(64, 'b');
    ASSERT_TRUE(Do([&](Transaction& tx) { return AddVersion(tx, version, false); }).ok());
  }
  void ExpectRefused(const Job& job, const std::string& has, const std::string& wants) {
    EXPECT_EQ(job.state, JobState::kFailed);
    ASSERT_TRUE(job.error.has_value());
    EXPECT_EQ(job.error->code, StatusCode::kFailedPrecondition);
    EXPECT_EQ(job.error->details.at(0).reason, "BASE_MISMATCH");
    EXPECT_THAT(job.error->message, HasSubstr("is one of base " + has));
    EXPECT_THAT(job.error->message, HasSubstr(wants));
    EXPECT_THAT(job.attempts, IsEmpty()) << "it never ran";
  }
};

TEST_F(RecheckTest, OfTwoJobsThatMakeOneAdapterOnTwoBasesTheSecondNeverTrains) {
  const JobKey first = Queued(On("minilm"));
  const JobKey second = Queued(On("gpt2"));
  Job running = AcquireAll(1).granted.at(0);
  ASSERT_EQ(running.key, first);
  ASSERT_TRUE(Complete(Ended(running, Outcome::kSucceeded)).ok());

  const AcquiredLeases acquired = AcquireAll();

  EXPECT_THAT(acquired.granted, IsEmpty());
  ASSERT_THAT(acquired.refused, SizeIs(1));
  EXPECT_EQ(acquired.refused[0].key, second);
  ExpectRefused(Get(second), "minilm", "gpt2");
  EXPECT_EQ(Reasons(second), "CREATED DATA_READY ERROR");
}

TEST_F(RecheckTest, WhileOneOfThemRunsTheOtherWaitsAndSaysForWhat) {
  const JobKey first = Queued(On("minilm"));
  const JobKey second = Queued(On("gpt2"));

  const AcquiredLeases both = AcquireAll();

  ASSERT_THAT(both.granted, SizeIs(1));
  EXPECT_EQ(both.granted[0].key, first);
  const Job waiting = Get(second);
  EXPECT_EQ(waiting.state, JobState::kQueued);
  EXPECT_THAT(waiting.warnings, ElementsAre(HasSubstr("waits for the end of job " + first.id)));
  clock_.Advance(options_.rival_wait);
  EXPECT_THAT(AcquireAll().granted, IsEmpty());
  EXPECT_THAT(Get(second).warnings, SizeIs(1)) << "said once";
}

TEST_F(RecheckTest, TheOneThatWaitsRunsIfTheOtherMadeNothing) {
  Queued(On("minilm"));
  const JobKey second = Queued(On("gpt2"));
  const Job running = AcquireAll().granted.at(0);
  ASSERT_TRUE(Complete(Ended(running, Outcome::kFailed)).ok());
  clock_.Advance(options_.rival_wait);

  const AcquiredLeases acquired = AcquireAll();

  ASSERT_THAT(acquired.granted, SizeIs(1));
  EXPECT_EQ(acquired.granted[0].key, second);
}

TEST_F(RecheckTest, JobsThatCannotRunHideNoneBehindThem) {
  for (int i = 0; i < 20; ++i) Queued(On("gpt2"));
  NewJob other = On("gpt2");
  other.adapter = "other";
  const JobKey behind = Queued(other);
  MakeAdapter("minilm");

  const AcquiredLeases acquired = AcquireAll(1);

  EXPECT_THAT(acquired.refused, SizeIs(20));
  ASSERT_THAT(acquired.granted, SizeIs(1));
  EXPECT_EQ(acquired.granted[0].key, behind);
}

TEST_F(RecheckTest, AnAdapterMadeDuringValidationEndsTheJobThere) {
  const JobKey key = Create(On("gpt2"));
  ASSERT_TRUE(Claim(key).ok());
  MakeAdapter("minilm");

  const StatusOr<Job> finished = Validated(key);

  ASSERT_TRUE(finished.ok()) << finished.status();
  ExpectRefused(Get(key), "minilm", "gpt2");
}

TEST_F(RecheckTest, AnAdapterDeletedAndMadeOnAnotherBaseIsSeenBeforeARetryToo) {
  const Job running = Running();
  ASSERT_TRUE(Complete(Ended(running, Outcome::kRetry)).ok());
  MakeAdapter("gpt2");
  clock_.Advance(options_.max_backoff);

  const AcquiredLeases acquired = AcquireAll();

  EXPECT_THAT(acquired.granted, IsEmpty());
  ASSERT_THAT(acquired.refused, SizeIs(1));
  EXPECT_EQ(Get(running.key).state, JobState::kFailed);
}

TEST_F(RecheckTest, AJobRemembersWhatItWasCheckedAgainst) {
  NewJob asked = On("minilm");
  asked.base_fingerprint = "f";
  asked.tokenizer = "t";

  const Job job = Running(asked);

  EXPECT_EQ(job.base_fingerprint, "f");
  EXPECT_EQ(job.tokenizer, "t");
}

}  // namespace
}  // namespace graft::server::core
