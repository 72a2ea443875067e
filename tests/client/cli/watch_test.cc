#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../fake_server.h"
#include "client/cli/context.h"

namespace graft::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class WatchTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::JobEvent evaluation;
    evaluation.set_number(4);
    evaluation.mutable_evaluation()->set_split("test");
    evaluation.mutable_evaluation()->set_accuracy(0.875);
    server_.watches = {{StateEvent(1, v1::QUEUED, v1::RUNNING, "LEASED"), ProgressEvent(2, 5, 20)},
                       {ProgressEvent(3, 20, 20), evaluation,
                        StateEvent(5, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};
  }
  Outcome Watch(bool terminal) { return RunCli(server_.address(), {"watch", "j1"}, terminal); }
  FakeServer server_;
};

TEST_F(WatchTest, LinesWhereThereIsNoTerminal) {
  const Outcome outcome = Watch(false);

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_THAT(
      outcome.Lines(),
      ElementsAre("RUNNING (LEASED)", "step 5/20  epoch 0.00  loss 0.5000  1000 tok/s  1m15s left",
                  "step 20/20  epoch 0.00  loss 0.5000  1000 tok/s",
                  StartsWith("test: accuracy 0.8750"), StartsWith("SUCCEEDED")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\r")));
}

TEST_F(WatchTest, BarOnATerminalIsDrawnOverItself) {
  const Outcome outcome = Watch(true);

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_THAT(outcome.out, HasSubstr("\r\033[K[======                  ] step 5/20"));
  EXPECT_THAT(outcome.out, HasSubstr("\r\033[K[========================] step 20/20"));
  EXPECT_THAT(outcome.out, HasSubstr("\r\033[Ktest: accuracy"));  // The bar gives way to a line.
  EXPECT_THAT(outcome.Lines().back(), StartsWith("SUCCEEDED"));
}

TEST_F(WatchTest, ASampleIsALineThatMovesNoCursor) {
  v1::JobEvent event;
  event.set_number(2);
  event.mutable_sample()->set_step(40);
  event.mutable_sample()->set_index(1);
  event.mutable_sample()->set_prompt("Tell me");
  event.mutable_sample()->set_text("Once\n\033[2Jupon");
  event.mutable_sample()->set_finish_reason("length");
  server_.watches = {{event, StateEvent(3, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};

  EXPECT_THAT(Watch(false).Lines(),
              ElementsAre("sample 2, step 40: \"Tell me\" -> \"Once\\n\\u001b[2Jupon\" (length)",
                          StartsWith("SUCCEEDED")));
}

TEST_F(WatchTest, ACheckpointIsALineIfItIsAVersion) {
  v1::JobEvent to_resume_from, kept;
  to_resume_from.set_number(2);
  to_resume_from.mutable_checkpoint()->set_step(30);
  kept.set_number(3);
  kept.mutable_checkpoint()->set_step(40);
  kept.mutable_checkpoint()->set_adapter_version("adapters/support/versions/2");
  server_.watches = {
      {to_resume_from, kept, StateEvent(4, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};

  EXPECT_THAT(Watch(false).Lines(),
              ElementsAre("kept adapters/support/versions/2  (step 40)", StartsWith("SUCCEEDED")));
}

TEST_F(WatchTest, BrokenStreamIsTakenUpWithoutRepeatingALine) {
  const Outcome outcome = Watch(false);

  EXPECT_THAT(server_.after_events, ElementsAre(0, 2));
  EXPECT_EQ(outcome.out.find("step 5/20"), outcome.out.rfind("step 5/20"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(WatchTest, BeginsBehindTheNamedEvent) {
  EXPECT_EQ(RunCli(server_.address(), {"watch", "j1", "--after-event", "1"}).code, kOk);

  EXPECT_EQ(server_.after_events.front(), 1);
}

TEST_F(WatchTest, BehindTheLastEventTheJobItselfSaysHowItEnded) {
  server_.watches = {{}};
  for (const auto& [state, code] : {std::pair{v1::SUCCEEDED, kOk}, {v1::FAILED, kJobFailed}}) {
    server_.job.set_state(state);
    server_.job.mutable_error()->set_message("it broke");
    const Outcome outcome = RunCli(server_.address(), {"watch", "j1", "--after-event", "9"});

    EXPECT_EQ(outcome.code, code);
    EXPECT_EQ(outcome.err, state == v1::FAILED ? "graft: the job failed: it broke\n" : "");
  }
}

TEST_F(WatchTest, FailedJobSaysWhyAndWhere) {
  v1::JobEvent failed = StateEvent(1, v1::VALIDATING, v1::FAILED, "DATA_FAULT");
  *failed.mutable_state_change()->mutable_error() = DataFault();
  server_.watches = {{failed}};

  const Outcome outcome = Watch(false);

  EXPECT_EQ(outcome.code, kJobFailed);
  EXPECT_EQ(outcome.out, "FAILED (DATA_FAULT)\n");
  EXPECT_EQ(outcome.err,
            "graft: the job failed: the data is bad\n  dataset.train line 7, column text: no text "
            "(EMPTY_TEXT)\n  and 3 more\n");
}

TEST_F(WatchTest, RetriedJobSaysWhy) {
  v1::JobEvent retried = StateEvent(1, v1::RUNNING, v1::QUEUED, "RETRY");
  retried.mutable_state_change()->mutable_error()->set_message("the device is out of memory");
  server_.watches = {{retried, StateEvent(2, v1::RUNNING, v1::SUCCEEDED, "COMPLETED")}};

  EXPECT_THAT(Watch(false).Lines().front(), "QUEUED (RETRY): the device is out of memory");
}

TEST_F(WatchTest, ServerThatGoesAwayIsToldOnce) {
  server_.fail_first = 4;

  const Outcome outcome = Watch(false);

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_THAT(outcome.err,
              testing::AllOf(StartsWith("graft: the server is away"), HasSubstr("draining")));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

TEST_F(WatchTest, JsonHasNoLineAboutAnAwayServer) {
  server_.fail_first = 4;

  const Outcome outcome = RunCli(server_.address(), {"watch", "j1", "--json"});

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(WatchTest, AbsentServerIsGivenUpSoon) {
  server_.Stop();
  const auto begin = std::chrono::steady_clock::now();

  const Outcome outcome = Watch(false);

  EXPECT_EQ(outcome.code, kUnreachable);
  EXPECT_THAT(outcome.err, HasSubstr("is graft-server running?"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1));
}

TEST_F(WatchTest, SubmitWatchesWhatItMade) {
  const Outcome outcome = RunCli(server_.address(), {"submit", "--base", "b", "--watch"});

  EXPECT_EQ(outcome.code, kOk);
  EXPECT_THAT(outcome.out, StartsWith("submitted jobs/j1\n"));
  EXPECT_THAT(outcome.Lines().back(), StartsWith("SUCCEEDED"));
}

TEST_F(WatchTest, UnknownJobIsRefused) {
  server_.watches.clear();
  server_.fail_first = 1;
  server_.failure = NotFoundError("there is no job j1");

  EXPECT_EQ(Watch(false).code, kRefused);
}

}  // namespace
}  // namespace graft::cli
