/// Memory that runs out in the middle of a job: micro-batches are split and the job goes on. An
/// allocator in front of graft's own refuses what is larger than a limit, as a full device does.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/limited_allocator.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {
namespace {

using testing::Hyper;
using testing::LimitedAllocator;
using testing::MakeData;
using testing::MakeEngine;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;

class OutOfMemoryTest : public ::testing::Test {
 protected:
  OutOfMemoryTest() : memory_(LimitedAllocator::Install()), engine_(MakeEngine()) {}
  ~OutOfMemoryTest() override { memory_.Unlimit(); }

  static TrainRequest Job(std::string checkpoint = {}) {
    const auto spec =
        MakeSpec({{"bottleneck", {{"placement", "PFEIFFER"}, {"size", 8}}}}, [](Hyper& hp) {
          hp.batch_size = 32;
          hp.max_steps = 4;
          hp.evaluations_per_epoch = 0;
        });
    return MakeRequest(spec, MakeData(64, 0, 12), std::move(checkpoint));
  }

  /// The largest single allocation of a training step.
  size_t LargestOfAStep() {
    size_t largest = 0;
    const auto recorder = std::make_shared<Recorder>([&](int64_t steps) {
      if (steps <= 1) largest = memory_.TakeLargest();
      if (steps == 1) return DesiredState::kCancel;
      return DesiredState::kRun;
    });
    EXPECT_TRUE(RunJob(*engine_, Job(), recorder).ok());
    return largest;
  }

  /// Limits memory while steps run; what comes behind them has it all.
  std::shared_ptr<Recorder> Limited(size_t bytes) {
    return std::make_shared<Recorder>([this, bytes](int64_t steps) {
      steps < 4 ? memory_.Limit(bytes) : memory_.Unlimit();
      return DesiredState::kRun;
    });
  }

  LimitedAllocator& memory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(OutOfMemoryTest, LayersAreComputedAgainFirstAndTheArtifactIsTheSame) {
  const auto roomy = RunJob(*engine_, Job());
  ASSERT_TRUE(roomy.ok()) << roomy.status();
  const auto recorder = std::make_shared<Recorder>([&](int64_t steps) {
    memory_.FailAt(steps == 1 ? 100 : 0);
    return DesiredState::kRun;
  });

  const auto tight = RunJob(*engine_, Job(), recorder);

  ASSERT_TRUE(tight.ok()) << tight.status();
  ASSERT_EQ(recorder->warnings.size(), 1U);
  EXPECT_NE(recorder->warnings[0].find("out of memory at step 2: layers are now computed again"),
            std::string::npos)
      << recorder->warnings[0];
  EXPECT_EQ(tight->artifact.sha256, roomy->artifact.sha256);
}

TEST_F(OutOfMemoryTest, MicroBatchesAreSplitAndTheJobGoesOn) {
  const auto roomy = RunJob(*engine_, Job());
  ASSERT_TRUE(roomy.ok()) << roomy.status();
  const auto recorder = Limited(LargestOfAStep() * 2 / 3);

  const auto tight = RunJob(*engine_, Job(), recorder);

  ASSERT_TRUE(tight.ok()) << tight.status();
  ASSERT_EQ(recorder->warnings.size(), 2U);
  EXPECT_NE(
      recorder->warnings[1].find("out of memory at step 1: micro-batches are now run in 2 parts"),
      std::string::npos)
      << recorder->warnings[1];
  // The gradient is the same sum, in another order.
  EXPECT_NEAR(tight->evaluations.back().loss, roomy->evaluations.back().loss, 1e-4);
}

TEST_F(OutOfMemoryTest, TheSplitGrowsUntilItFits) {
  const auto recorder = Limited(LargestOfAStep() / 5);

  const auto outcome = RunJob(*engine_, Job(), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_GE(recorder->warnings.size(), 3U);
}

TEST_F(OutOfMemoryTest, AnEvaluationGoesOnInSmallerPasses) {
  const auto version = testing::TrainAndLoad(*engine_, {{"lora", {{"rank", 4}}}}).sha256;
  const auto data = MakeData(400, 0, 0);
  const auto evaluate = [&] {
    std::promise<StatusOr<Evaluation>> done;
    engine_->Evaluate({.version = version, .dataset = data},
                      [&](StatusOr<Evaluation> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  };
  (void)memory_.TakeLargest();
  const auto roomy = evaluate();
  memory_.Limit(memory_.TakeLargest() / 3);

  const auto tight = evaluate();

  memory_.Unlimit();
  ASSERT_TRUE(tight.ok()) << tight.status();
  EXPECT_EQ(tight->examples, 400);
  EXPECT_NEAR(tight->loss, roomy->loss, 1e-5);
  EXPECT_EQ(tight->metrics, roomy->metrics);
}

TEST_F(OutOfMemoryTest, RequestsThatDontFitTogetherAreAnsweredOneByOne) {
  const auto version = testing::TrainAndLoad(*engine_, {{"lora", {{"rank", 4}}}}).sha256;
  constexpr int kRequests = 8;
  std::vector<std::promise<StatusOr<ClassifyResult>>> answers(kRequests);
  (void)memory_.TakeLargest();
  const auto alone = testing::Classify(*engine_, version, {"w1 w2 w3 w4 w5 w6"});
  const size_t of_one = memory_.TakeLargest();
  {
    testing::Blocked blocked(*engine_, version);
    for (auto& answer : answers) {
      engine_->Classify({.version = version, .inputs = {{"w1 w2 w3 w4 w5 w6", ""}}},
                        [&](StatusOr<ClassifyResult> r) { answer.set_value(std::move(r)); });
    }
    memory_.Limit(2 * of_one);
  }

  for (auto& answer : answers) {
    const auto result = answer.get_future().get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->predictions[0].logits, alone->predictions[0].logits);
  }
}

TEST_F(OutOfMemoryTest, TheSplitIsResumed) {
  const size_t limit = LargestOfAStep() * 2 / 3;
  const auto whole = RunJob(*engine_, Job(), Limited(limit));
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto first = std::make_shared<Recorder>([&](int64_t steps) {
    memory_.Limit(limit);
    return steps == 2 ? DesiredState::kRelease : DesiredState::kRun;
  });
  ASSERT_TRUE(RunJob(*engine_, Job(), first).ok());
  memory_.Unlimit();

  const auto second = std::make_shared<Recorder>();
  const auto resumed = RunJob(*engine_, Job(first->checkpoint), second);

  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->artifact.sha256, whole->artifact.sha256);
  EXPECT_TRUE(second->warnings.empty());
}

TEST_F(OutOfMemoryTest, APassThatFailedHalfWayLeavesNoGradient) {
  constexpr int64_t kMany = int64_t{1} << 40;
  int64_t of_a_step = 0;
  const auto count = std::make_shared<Recorder>([&](int64_t steps) {
    const int64_t left = memory_.FailAt(steps == 0 ? kMany : 0);
    if (steps == 1) of_a_step = kMany - left;
    return DesiredState::kRun;
  });
  const auto roomy = RunJob(*engine_, Job(), count);
  ASSERT_TRUE(roomy.ok()) << roomy.status();
  // Near its end most gradients of the step are there.
  const auto recorder = std::make_shared<Recorder>([&](int64_t steps) {
    memory_.FailAt(steps == 0 ? of_a_step * 9 / 10 : 0);
    return DesiredState::kRun;
  });

  const auto tight = RunJob(*engine_, Job(), recorder);

  ASSERT_TRUE(tight.ok()) << tight.status();
  ASSERT_EQ(recorder->warnings.size(), 1U);
  EXPECT_EQ(recorder->warnings[0].find("out of memory at step 1:"), 0U) << recorder->warnings[0];
  EXPECT_NEAR(recorder->first_progress.grad_norm, count->first_progress.grad_norm,
              1e-4 * count->first_progress.grad_norm);
}

TEST_F(OutOfMemoryTest, AnExampleThatDoesntFitEndsTheJobAndTheEngineLivesOn) {
  const auto recorder = std::make_shared<Recorder>([&](int64_t) {
    memory_.Limit(64);
    return DesiredState::kRun;
  });

  const auto outcome = RunJob(*engine_, Job(), recorder);
  memory_.Unlimit();

  EXPECT_EQ(outcome.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(outcome.status()), "DEVICE_OUT_OF_MEMORY");
  EXPECT_TRUE(RunJob(*engine_, Job()).ok());
}

}  // namespace
}  // namespace graft::worker::engine
