/// The loop with serving and turns of tasks: passes, tasks and turns in counted order, over the
/// plain tiny base.

#include "worker/engine/loop/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include <ATen/Parallel.h>

#include "tests/worker/engine/golden_case.h"
#include "worker/engine/caches/base_cache.h"
#include "worker/engine/loop/turn_tasks.h"
#include "worker/engine/serving/serving_queue.h"

namespace graft::worker::engine {
namespace {

constexpr int kLength = 30;
/// Nothing is that fast, so passes are as small as they get: four texts of kLength tokens each.
constexpr double kNoTime = 1e-9;

class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // Many tiny passes: threads would mostly wait for each other.
    BaseCache bases(testing::GoldenFolder(), at::kCPU, int64_t{1} << 40, ledger_);
    auto on = bases.Get("base-bert", at::kFloat);
    ASSERT_TRUE(on.ok()) << on.status();
    on_ = *on;
    MakeLoop({.seconds = kNoTime});
  }
  void MakeLoop(const PassSize::Limits& limits) {
    serving_ =
        std::make_unique<ServingQueue>(/*max_waiting=*/4096, limits, ledger_, [this](int64_t rows) {
          ++passes_;
          rows_ += rows;
          if (on_pass_) on_pass_();
        });
    loop_ = std::make_unique<Loop>(
        Loop::Clients{.foreground = {serving_.get()}, .background = {&turns_}});
  }
  void TearDown() override {
    if (loop_ != nullptr) loop_->Stop();
    at::set_num_threads(threads_);
  }

  /// Asks for the embeddings of so many texts; `done`, if set, is told in front of the answer.
  std::future<Status> Ask(int texts, std::function<void()> done = {}, Abandoned abandoned = {},
                          int length = kLength) {
    auto request = std::make_shared<ServingRequest>();
    request->on = on_;
    request->output = ServingOutput::kEmbedding;
    for (int i = 0; i < texts; ++i) {
      request->inputs.push_back({std::vector<int32_t>(static_cast<size_t>(length), 7),
                                 std::vector<int32_t>(static_cast<size_t>(length), 0), false});
    }
    request->abandoned = std::move(abandoned);
    auto answer = std::make_shared<std::promise<Status>>();
    request->done = [answer, done = std::move(done)](const Status& status) {
      if (done) done();
      answer->set_value(status);
    };
    if (serving_->Push(std::move(request))) loop_->Wake();
    return answer->get_future();
  }
  /// The rows that are served in a yield, as a training step has it between its layers, beside
  /// newcomers behind each pass.
  int64_t RowsOfAYield(const std::function<void()>& ask, const std::function<void()>& newcomer) {
    std::promise<int64_t> rows_of_a_yield;
    int newcomers = 0;
    on_pass_ = [&] {
      if (++newcomers <= 200) newcomer();
    };
    const auto advance = [&](const Yield& yield) {
      ask();
      const int64_t before = rows_;
      yield();
      rows_of_a_yield.set_value(rows_ - before);
      return false;
    };
    turns_.Add({advance, [](const Status&) {}});
    loop_->Start();
    const int64_t rows = rows_of_a_yield.get_future().get();
    loop_->Stop();  // It must not outlive what the hook refers to.
    loop_.reset();
    return rows;
  }
  int64_t Waiting() const { return serving_->waiting(); }

  const int threads_ = at::get_num_threads();
  LoadedBase on_;
  std::function<void()> on_pass_;  ///< On the loop's thread, behind each pass.
  int64_t passes_ = 0, rows_ = 0;
  const std::shared_ptr<Ledger> ledger_ = Ledger::Create({.budget = int64_t{1} << 40});
  std::unique_ptr<ServingQueue> serving_;
  TurnTasks turns_;
  std::unique_ptr<Loop> loop_;
};

TEST_F(LoopTest, ABatchIsServedInShortPasses) {
  auto answer = Ask(128);
  loop_->Start();

  EXPECT_TRUE(answer.get().ok());
  EXPECT_GE(passes_, 30);
  EXPECT_EQ(rows_, 128 * kLength);
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(LoopTest, ANewcomerIsAnsweredWithinTwoPasses) {
  std::future<Status> newcomer;
  int64_t at = 0, answered_at = 0;
  on_pass_ = [&] {
    if (passes_ != 20) return;
    at = passes_;
    newcomer = Ask(1, [&] { answered_at = passes_; });
  };
  auto batch = Ask(128);
  loop_->Start();

  EXPECT_TRUE(batch.get().ok());
  EXPECT_TRUE(newcomer.get().ok());
  EXPECT_GT(answered_at, at);
  EXPECT_LE(answered_at, at + 2);
}

TEST_F(LoopTest, TasksRunBetweenPasses) {
  std::vector<int64_t> ran_at;
  on_pass_ = [&] {
    if (passes_ != 20) return;
    for (int i = 0; i < 3; ++i) loop_->Post([&] { ran_at.push_back(passes_); });
  };
  auto batch = Ask(128);
  loop_->Start();

  EXPECT_TRUE(batch.get().ok());
  EXPECT_EQ(ran_at, (std::vector<int64_t>{20, 21, 22})) << "one behind each pass";
}

TEST_F(LoopTest, ALongTextLetsShortOnesInBetweenItsLayers) {
  MakeLoop({.seconds = kNoTime, .first = kLength / 3, .least = kLength / 3});
  std::vector<std::string> answered;
  std::future<Status> shorts[2];
  auto text = Ask(1, [&] { answered.emplace_back("long"); });
  // A task runs between two layers of it too; what comes with it waits for the next.
  loop_->Post([&] {
    shorts[0] = Ask(
        1, [&] { answered.emplace_back("short"); }, {}, kLength / 3);
    shorts[1] = Ask(1, [&] { answered.emplace_back("long again"); });
  });
  loop_->Start();

  EXPECT_TRUE(text.get().ok());
  for (auto& answer : shorts) EXPECT_TRUE(answer.get().ok());
  EXPECT_EQ(answered, (std::vector<std::string>{"short", "long", "long again"}));
  EXPECT_EQ(passes_, 3);
}

TEST_F(LoopTest, ALongTextHasHalfOfTheTimeBesideAStormOfShortOnes) {
  constexpr int kPass = 20, kShort = 10, kLayers = 3;
  MakeLoop({.seconds = kNoTime, .first = kPass, .least = kPass});
  ASSERT_EQ(on_.model->num_layers(), kLayers);
  int64_t before_it = -1;
  std::vector<std::future<Status>> storm;
  auto text = Ask(1, [&] { before_it = passes_ - 1; });
  for (int i = 0; i < 50; ++i) storm.push_back(Ask(1, {}, {}, kShort));
  loop_->Start();

  EXPECT_TRUE(text.get().ok());
  for (auto& answer : storm) EXPECT_TRUE(answer.get().ok());
  EXPECT_EQ(before_it, 1 + 2) << "one pass in front; between layers, 20 of its 30 tokens each";
}

TEST_F(LoopTest, WhatIsServedBetweenLayersCountsForTrainingsTurn) {
  MakeLoop({.seconds = kNoTime, .first = 20, .least = 20});
  const int64_t rows = RowsOfAYield(
      [&] {
        Ask(1);
        for (int i = 0; i < 4; ++i) Ask(1, {}, {}, 10);
      },
      [&] { Ask(1, {}, {}, 10); });

  const int64_t waited = 30 + 4 * 10;
  EXPECT_GE(rows, waited);
  EXPECT_LE(rows, waited + 20) << "a pass more at most";
}

TEST_F(LoopTest, ARequestThatIsGivenUpLeavesBetweenPasses) {
  std::atomic<bool> given_up{false};
  int64_t left_at = 0;
  on_pass_ = [&] { given_up = passes_ >= 20; };
  auto batch = Ask(
      128, [&] { left_at = passes_; }, [&] { return given_up.load(); });
  auto other = Ask(60);
  loop_->Start();

  EXPECT_EQ(batch.get().code(), StatusCode::kCancelled);
  EXPECT_TRUE(other.get().ok());
  EXPECT_EQ(left_at, 20);
  EXPECT_LT(rows_, 128 * kLength) << "nothing was computed for it any more";
  EXPECT_EQ(Waiting(), 0);
}

TEST_F(LoopTest, ALoopThatStopsAnswersWhatIsServedInPart) {
  std::thread stopper;
  on_pass_ = [&] {
    if (passes_ != 20) return;
    stopper = std::thread([&] { loop_->Stop(); });
    // A stopping loop runs a task at once.
    for (bool stopping = false; !stopping;) {
      const auto ran = std::make_shared<std::atomic<bool>>(false);
      loop_->Post([ran] { *ran = true; });
      stopping = *ran;
    }
  };
  auto batch = Ask(128);
  loop_->Start();

  EXPECT_EQ(batch.get().code(), StatusCode::kUnavailable);
  stopper.join();
  EXPECT_EQ(passes_, 20);
  EXPECT_EQ(Waiting(), 0);
  loop_.reset();
}

TEST_F(LoopTest, ATurnOfTrainingWaitsForNoMoreThanWaitedAtItsYield) {
  const int64_t rows = RowsOfAYield([&] { Ask(40); }, [&] { Ask(8); });

  EXPECT_GE(rows, 40 * kLength);
  EXPECT_LE(rows, 41 * kLength);
}

}  // namespace
}  // namespace graft::worker::engine
