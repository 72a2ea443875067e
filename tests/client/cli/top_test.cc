/// What `graft top` shows.

#include "client/cli/top_screen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/cli/run.h"
#include "tests/client/fake_server.h"

namespace graft::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

graft::v1::Job JobOf(const std::string& id, graft::v1::JobState state, int priority = 0,
                     int64_t created = 1) {
  graft::v1::Job job;
  job.set_name("jobs/" + id);
  job.set_state(state);
  job.mutable_spec()->set_priority(priority);
  job.mutable_create_time()->set_seconds(created);
  return job;
}

TopFigures Busy() {
  TopFigures figures;
  figures.server = "127.0.0.1:7070";
  figures.time = "12:03:44";
  auto& worker = figures.workers.emplace_back();
  worker.set_name("workers/cpu-1");
  worker.set_state("ready");
  worker.set_requests(3);
  auto& use = *worker.add_memory();
  use.set_kind("kv");
  use.set_bytes(5 << 20);
  figures.jobs = {JobOf("ended", graft::v1::SUCCEEDED), JobOf("later", graft::v1::QUEUED, 0, 2),
                  JobOf("sooner", graft::v1::QUEUED, 5, 3), JobOf("running", graft::v1::RUNNING)};
  figures.jobs.back().mutable_progress()->set_step(7);
  figures.jobs.back().mutable_progress()->set_total_steps(40);
  return figures;
}

size_t At(const std::string& text, const std::string& part) { return text.find(part); }

TEST(TopScreenTest, CountsStandInFront) {
  const std::string screen = TopScreen(Busy(), {});

  EXPECT_THAT(screen, HasSubstr("jobs: 1 running, 2 queued  requests: 3  workers: 1"));
  EXPECT_THAT(screen, HasSubstr("5120.0 KiB"));
  EXPECT_THAT(screen, HasSubstr("7/40"));
}

TEST(TopScreenTest, JobsStandAsTheyRun) {
  const std::string screen = TopScreen(Busy(), {});

  EXPECT_LT(At(screen, "\nrunning "), At(screen, "\nsooner "));
  EXPECT_LT(At(screen, "\nsooner "), At(screen, "\nlater "));
  EXPECT_LT(At(screen, "\nlater "), At(screen, "\nended "));
}

TEST(TopScreenTest, AScreenIsNeverFullerThanTheTerminal) {
  const std::string screen = TopScreen(Busy(), {.columns = 20, .rows = 6});

  std::istringstream lines(screen);
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 20U);
  EXPECT_EQ(count, 5U);
}

TEST(TopScreenTest, WhatAServerSaysTurnsNoLine) {
  TopFigures figures = Busy();
  figures.fault = "away\n\x1b[2J";
  figures.jobs[0].mutable_spec()->set_adapter("a\nb");

  EXPECT_THAT(TopScreen(figures, {}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(TopScreen(figures, {}), Not(HasSubstr("a\nb")));
}

TEST(TopTest, OneLookShowsWorkersAndJobs) {
  FakeServer server;
  server.workers.emplace_back().set_name("workers/gpu-7");
  server.job = JobOf("01x", graft::v1::RUNNING);
  std::ostringstream out, err;

  EXPECT_EQ(cli::Run({"top", "--once"}, {server.address(), ""}, out, err), 0) << err.str();

  EXPECT_THAT(out.str(), HasSubstr("gpu-7"));
  EXPECT_THAT(out.str(), HasSubstr("01x"));
}

TEST(TopTest, ASenselessPauseIsRefused) {
  FakeServer server;
  std::ostringstream out, err;

  EXPECT_EQ(cli::Run({"top", "--seconds", "0"}, {server.address(), ""}, out, err), 2);
  EXPECT_THAT(err.str(), HasSubstr("--seconds"));
}

}  // namespace
}  // namespace graft::cli
