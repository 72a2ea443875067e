#include "server/supervisor/process_launcher.h"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::supervisor {
namespace {

using testing::ElementsAre;

class ProcessLauncherTest : public testing::Test {
 protected:
  StatusOr<int> Shell(const std::string& script) {
    return launcher_.Launch(
        {"/bin/sh", {"-c", script}, "test"}, [this](std::string line) { OnLine(std::move(line)); },
        [this](WorkerExit exit) { exit_ = exit; });
  }
  void OnLine(std::string line) {
    lines_.push_back(std::move(line));
    if (on_line_) on_line_();
  }

  boost::asio::io_context io_;
  ProcessLauncher launcher_{io_};
  std::vector<std::string> lines_;
  std::function<void()> on_line_;
  std::optional<WorkerExit> exit_;
};

TEST_F(ProcessLauncherTest, ReportsLinesOfBothStreamsAndTheExitCode) {
  ASSERT_TRUE(Shell("echo one; echo two >&2; printf last; exit 3").ok());

  io_.run();

  EXPECT_THAT(lines_, ElementsAre("one", "two", "last"));
  ASSERT_TRUE(exit_.has_value());
  EXPECT_EQ(exit_->exit_code, 3);
  EXPECT_EQ(exit_->signal, 0);
}

TEST_F(ProcessLauncherTest, ReportsTheSignalThatKilledIt) {
  auto handle = Shell("echo ready; read forever < /dev/zero");
  ASSERT_TRUE(handle.ok());
  on_line_ = [&] { launcher_.Kill(*handle); };

  io_.run();

  ASSERT_TRUE(exit_.has_value());
  EXPECT_EQ(exit_->signal, 9);
  EXPECT_EQ(exit_->ToString(), "was killed by signal 9");
}

TEST_F(ProcessLauncherTest, TerminateLetsItEndInOrder) {
  auto handle = Shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do :; done");
  ASSERT_TRUE(handle.ok());
  on_line_ = [&] {
    if (lines_.size() == 1) launcher_.Terminate(*handle);
  };

  io_.run();

  EXPECT_THAT(lines_, ElementsAre("ready", "bye"));
  ASSERT_TRUE(exit_.has_value());
  EXPECT_EQ(exit_->exit_code, 0);
}

TEST_F(ProcessLauncherTest, MissingProgramIsAnError) {
  auto handle = launcher_.Launch(
      {"/nonexistent/graft-worker", {}, "x"}, [](std::string) {}, [](WorkerExit) {});

  ASSERT_FALSE(handle.ok());
  EXPECT_EQ(handle.status().code(), StatusCode::kNotFound);
}

TEST_F(ProcessLauncherTest, EndlessLineArrivesInPieces) {
  ASSERT_TRUE(Shell("head -c 40000 /dev/zero | tr '\\0' x").ok());

  io_.run();

  size_t total = 0;
  for (const std::string& line : lines_) {
    EXPECT_LE(line.size(), 16U * 1024);
    total += line.size();
  }
  EXPECT_EQ(total, 40'000U);
}

}  // namespace
}  // namespace graft::server::supervisor
