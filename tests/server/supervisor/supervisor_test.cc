#include "server/supervisor/supervisor.h"

#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/supervisor/memory_launcher.h"

namespace graft::server::supervisor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::SizeIs;

class SupervisorTest : public testing::Test {
 protected:
  Supervisor& Make(std::vector<std::string> devices, milliseconds drain = hours(1)) {
    Supervisor::Options options;
    options.binary = "/opt/graft-worker";
    options.arguments = {"--bases", "/bases"};
    for (std::string& device : devices) options.places.push_back({std::move(device), {"--own"}});
    options.restart = {milliseconds(1), milliseconds(2), hours(1)};
    options.drain = drain;
    supervisor_.emplace(
        io_, launcher_, options, [this](const std::string& id) { lost_.push_back(id); },
        [this](const std::string& why) { refused_.push_back(why); });
    return *supervisor_;
  }
  std::string WorkerId(size_t launch) { return launcher_.launched().at(launch).arguments.back(); }
  /// Runs until `n` processes were launched in all.
  void RunUntilLaunched(size_t n) {
    io_.restart();
    while (launcher_.launched().size() < n && io_.run_one() > 0) {
    }
    ASSERT_EQ(launcher_.launched().size(), n);
  }

  boost::asio::io_context io_;
  MemoryLauncher launcher_;
  std::optional<Supervisor> supervisor_;
  std::vector<std::string> lost_, refused_;
};

TEST_F(SupervisorTest, StartsOneWorkerForEachDevice) {
  Make({"cuda:0", "cuda:1"}).Start();

  ASSERT_THAT(launcher_.launched(), SizeIs(2));
  const auto& arguments = launcher_.launched()[1].arguments;
  EXPECT_THAT(std::vector(arguments.begin(), arguments.end() - 1),
              ElementsAre("--bases", "/bases", "--own", "--device", "cuda:1", "--worker-id"));
  EXPECT_TRUE(arguments.back().starts_with("cuda-1-")) << arguments.back();
  EXPECT_EQ(supervisor_->num_running(), 2);
}

TEST_F(SupervisorTest, AWorkerThatRefusesItsSettingsIsNotStartedAgain) {
  Make({"cpu"}).Start();
  const auto& [handle, process] = *launcher_.processes().begin();
  process.on_line("--memory: \"abc\" isn't a size");
  process.on_line("Run with --help");

  launcher_.Exit(handle, {.exit_code = 2});
  io_.run();

  EXPECT_THAT(refused_, ElementsAre("--memory: \"abc\" isn't a size"));
  EXPECT_THAT(lost_, ElementsAre(WorkerId(0)));
  EXPECT_THAT(launcher_.launched(), SizeIs(1));
  EXPECT_EQ(supervisor_->num_running(), 0);
}

TEST_F(SupervisorTest, SettingsThatWereTakenOnceAreNotWhatIsWrong) {
  Make({"cpu"}).Start();
  launcher_.Exit(1, {0, 9});
  RunUntilLaunched(2);

  launcher_.Exit(2, {.exit_code = 2});
  RunUntilLaunched(3);

  EXPECT_THAT(refused_, testing::IsEmpty());
}

TEST_F(SupervisorTest, EndedWorkerIsReportedAndStartedUnderANewId) {
  Make({"cpu"}).Start();

  launcher_.Exit(1, {0, 9});
  RunUntilLaunched(2);

  EXPECT_THAT(lost_, ElementsAre(WorkerId(0)));
  EXPECT_NE(WorkerId(0), WorkerId(1));
}

TEST_F(SupervisorTest, ArgumentsAtStartAreAskedAnewBeforeEachStart) {
  Supervisor::Options options;
  int starts = 0;
  options.places.push_back({"cpu", {"--own"}, [&starts] {
                              return std::vector<std::string>{"--start", std::to_string(++starts)};
                            }});
  options.restart = {milliseconds(1), milliseconds(2), hours(1)};
  supervisor_.emplace(
      io_, launcher_, options, [](const std::string&) {}, [](const std::string&) {});

  supervisor_->Start();
  launcher_.Exit(1, {0, 9});
  RunUntilLaunched(2);

  const auto& arguments = launcher_.launched()[1].arguments;
  EXPECT_THAT(std::vector(arguments.begin(), arguments.end() - 1),
              ElementsAre("--own", "--start", "2", "--device", "cpu", "--worker-id"));
}

TEST_F(SupervisorTest, WorkerThatCannotStartIsTriedAgain) {
  Make({"cpu"});
  launcher_.FailNext(NotFoundError("no such program"));
  supervisor_->Start();
  EXPECT_EQ(supervisor_->num_running(), 0);

  RunUntilLaunched(1);

  EXPECT_EQ(supervisor_->num_running(), 1);
}

TEST_F(SupervisorTest, StopTerminatesEachAndCallsBackAfterTheLast) {
  Make({"cpu", "cuda:0"}).Start();
  launcher_.obeys = false;
  bool stopped = false;

  supervisor_->Stop([&] { stopped = true; });

  EXPECT_TRUE(launcher_.processes().at(1).terminated);
  EXPECT_TRUE(launcher_.processes().at(2).terminated);
  launcher_.Exit(1, {0, 0});
  EXPECT_FALSE(stopped);
  launcher_.Exit(2, {0, 0});
  EXPECT_TRUE(stopped);
  io_.run();
  EXPECT_THAT(launcher_.launched(), SizeIs(2)) << "nothing starts again";
}

TEST_F(SupervisorTest, WorkerThatDoesNotStopInTimeIsKilled) {
  Make({"cpu"}, milliseconds(1)).Start();
  launcher_.obeys = false;
  bool stopped = false;

  supervisor_->Stop([&] { stopped = true; });
  io_.run();

  EXPECT_TRUE(stopped);
  EXPECT_EQ(supervisor_->num_running(), 0);
}

TEST_F(SupervisorTest, StopWhileWaitingForARestartStartsNothing) {
  Make({"cpu"}).Start();
  launcher_.Exit(1, {1, 0});
  bool stopped = false;

  supervisor_->Stop([&] { stopped = true; });
  io_.run();

  EXPECT_TRUE(stopped);
  EXPECT_THAT(launcher_.launched(), SizeIs(1));
}

TEST(WorkerIdTest, EveryStartGetsAnother) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(NewWorkerId("cuda:0"));
  EXPECT_THAT(ids, SizeIs(1000));
}

}  // namespace
}  // namespace graft::server::supervisor
