#include "common/base/failpoint.h"

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <new>

namespace graft {
namespace {

using testing::HasSubstr;

/// Nothing stays armed from one test to the next.
class FailpointTest : public testing::Test {
 protected:
  ~FailpointTest() override { EXPECT_TRUE(ArmFailpoints("").ok()); }

  static Status Pass() {
    GRAFT_FAILPOINT_STATUS("store.before_commit");
    return OkStatus();
  }
  static void Cross() { GRAFT_FAILPOINT("worker.after_step"); }
};

TEST_F(FailpointTest, UnarmedPasses) {
  EXPECT_TRUE(Pass().ok());
  Cross();
}

TEST_F(FailpointTest, ErrorActsOnceAndNamesItself) {
  ASSERT_TRUE(ArmFailpoints("store.before_commit=error").ok());

  EXPECT_EQ(Pass(), UnavailableError("failpoint store.before_commit"));
  EXPECT_TRUE(Pass().ok());
}

TEST_F(FailpointTest, ThrowThrowsOnceWhereAnErrorCouldAndWhereItCouldNot) {
  ASSERT_TRUE(ArmFailpoints("worker.after_step=throw,store.before_commit=throw").ok());

  EXPECT_THROW(Cross(), std::bad_alloc);
  EXPECT_THROW(static_cast<void>(Pass()), std::bad_alloc);

  Cross();
}

TEST_F(FailpointTest, CountWaitsForThatPass) {
  ASSERT_TRUE(ArmFailpoints("store.before_commit=error@3").ok());

  EXPECT_TRUE(Pass().ok());
  EXPECT_TRUE(Pass().ok());
  EXPECT_FALSE(Pass().ok());
  EXPECT_TRUE(Pass().ok());
}

TEST_F(FailpointTest, ANewSpecificationReplacesTheOld) {
  ASSERT_TRUE(ArmFailpoints("store.before_commit=error").ok());
  ASSERT_TRUE(ArmFailpoints("worker.after_step=error@5").ok());

  EXPECT_TRUE(Pass().ok());
}

TEST_F(FailpointTest, SeveralAreArmedAtOnce) {
  ASSERT_TRUE(ArmFailpoints("worker.after_step=error,store.before_commit=error@2,").ok());

  Cross();  // There is no way to report an error from here.
  EXPECT_TRUE(Pass().ok());
  EXPECT_FALSE(Pass().ok());
}

TEST_F(FailpointTest, OtherNamesDoNotCount) {
  ASSERT_TRUE(ArmFailpoints("store.before_commit=error@2").ok());

  Cross();
  EXPECT_TRUE(Pass().ok());
  Cross();
  EXPECT_FALSE(Pass().ok());
}

using FailpointDeathTest = FailpointTest;

TEST_F(FailpointDeathTest, CrashKillsWithoutAnyCleanUp) {
  const auto crash = [] {
    std::atexit([] { std::_Exit(3); });
    if (!ArmFailpoints("worker.after_step=crash").ok()) std::_Exit(4);
    Cross();
    std::_Exit(5);
  };

  EXPECT_EXIT(crash(), testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailpointDeathTest, CrashWaitsForItsPass) {
  const auto crash = [](int num_passes) {
    if (!ArmFailpoints("worker.after_step=crash@3").ok()) std::_Exit(4);
    for (int i = 0; i < num_passes; ++i) Cross();
    std::_Exit(5);
  };

  EXPECT_EXIT(crash(2), testing::ExitedWithCode(5), "");
  EXPECT_EXIT(crash(3), testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailpointDeathTest, CrashAlsoComesWhereAnErrorCould) {
  const auto crash = [] {
    if (!ArmFailpoints("store.before_commit=crash").ok()) std::_Exit(4);
    (void)Pass();
    std::_Exit(5);
  };

  EXPECT_EXIT(crash(), testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailpointDeathTest, StopSleepsUntilItIsContinued) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!ArmFailpoints("store.before_commit=stop@2").ok()) std::_Exit(4);
    std::_Exit(Pass().ok() && Pass().ok() && Pass().ok() ? 0 : 5);
  }

  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  EXPECT_TRUE(WIFSTOPPED(status));
  ::kill(child, SIGCONT);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(FailpointTest, RefusesWhatItDoesNotKnowAndKeepsWhatWasArmed) {
  ASSERT_TRUE(ArmFailpoints("store.before_commit=error").ok());

  for (const char* specification :
       {"no.such=crash", "store.before_commit", "store.before_commit=", "store.before_commit=halt",
        "store.before_commit=error@", "store.before_commit=error@0", "store.before_commit=error@-1",
        "store.before_commit=error@2x", "store.before_commit=error@99999999999", "=crash", ",",
        "store.before_commit =error", "store.before_commit=error,store.before_commit=crash",
        "worker.after_step=crash,no.such=crash"}) {
    EXPECT_EQ(ArmFailpoints(specification).code(), StatusCode::kInvalidArgument) << specification;
  }

  EXPECT_FALSE(Pass().ok());
}

TEST_F(FailpointTest, RefusalSaysWhereTheNamesStand) {
  EXPECT_THAT(ArmFailpoints("no.such=crash").message(), HasSubstr("--list-failpoints"));
}

TEST_F(FailpointTest, NamesAreSortedDistinctAndCanBeArmed) {
  const auto& names = FailpointNames();

  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  for (const std::string_view name : names) {
    EXPECT_TRUE(ArmFailpoints(std::string(name) + "=crash@1000").ok()) << name;
  }
}

}  // namespace
}  // namespace graft
