#include "server/supervisor/restart_policy.h"

#include <vector>

#include <gtest/gtest.h>

namespace graft::server::supervisor {
namespace {

using std::chrono::milliseconds;

RestartPolicy MakePolicy() {
  return RestartPolicy({milliseconds(100), milliseconds(1000), milliseconds(5000)});
}

TEST(RestartPolicyTest, WaitDoublesUpToItsMaximum) {
  RestartPolicy policy = MakePolicy();

  std::vector<int64_t> waits;
  for (int i = 0; i < 7; ++i) waits.push_back(policy.OnExit(milliseconds(1)).count());

  EXPECT_EQ(waits, (std::vector<int64_t>{100, 200, 400, 800, 1000, 1000, 1000}));
}

TEST(RestartPolicyTest, HealthyRunForgetsFailures) {
  RestartPolicy policy = MakePolicy();
  for (int i = 0; i < 5; ++i) (void)policy.OnExit(milliseconds(1));

  EXPECT_EQ(policy.OnExit(milliseconds(5000)), milliseconds(100));
  EXPECT_EQ(policy.failures(), 1);
}

TEST(RestartPolicyTest, ShortRunDoesNotForgetFailures) {
  RestartPolicy policy = MakePolicy();
  (void)policy.OnExit(milliseconds(1));

  EXPECT_EQ(policy.OnExit(milliseconds(4999)), milliseconds(200));
}

TEST(RestartPolicyTest, ThousandsOfFailuresStayAtTheMaximum) {
  RestartPolicy policy = MakePolicy();
  for (int i = 0; i < 10'000; ++i) (void)policy.OnExit(milliseconds(1));

  EXPECT_EQ(policy.OnExit(milliseconds(1)), milliseconds(1000));
}

}  // namespace
}  // namespace graft::server::supervisor
