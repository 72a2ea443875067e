/// Evaluating a resident version through the public Engine.

#include "worker/engine/training/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "tests/worker/engine/engine_case.h"

namespace graft::worker::engine {
namespace {

using testing::MakeData;
using testing::MakeEngine;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::RunJob;

class EvaluationTest : public ::testing::Test {
 protected:
  EvaluationTest() : engine_(MakeEngine()) {
    const auto spec = MakeSpec({{"bottleneck", {{"placement", "PFEIFFER"}, {"size", 8}}}});
    const auto data = MakeData(80, 0, 30);
    outcome_ = *RunJob(*engine_, MakeRequest(spec, data));
    EXPECT_TRUE(testing::Load(*engine_, outcome_.artifact).ok());
    held_out_.label_names = data->label_names;
    held_out_.train = data->test;
  }

  StatusOr<Evaluation> Evaluate(const datasets::IngestedDataset& data) {
    std::promise<StatusOr<Evaluation>> done;
    engine_->Evaluate({.version = outcome_.artifact.sha256,
                       .dataset = std::make_shared<const datasets::IngestedDataset>(data)},
                      [&](StatusOr<Evaluation> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
  }

  std::unique_ptr<Engine> engine_;
  TrainOutcome outcome_;
  datasets::IngestedDataset held_out_;
};

TEST_F(EvaluationTest, AServedVersionScoresAsItDidWhenItWasTrained) {
  const Evaluation trained = outcome_.evaluations.back();

  const auto served = Evaluate(held_out_);

  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_EQ(served->examples, 30);
  EXPECT_NEAR(served->loss, trained.loss, 1e-6);
  EXPECT_EQ(served->metrics, trained.metrics);
  EXPECT_EQ(served->metrics.count("accuracy") + served->metrics.count("macro_f1"), 2U);
}

TEST_F(EvaluationTest, TheVersionsOrderOfLabelsCounts) {
  const auto straight = Evaluate(held_out_);
  datasets::IngestedDataset turned = held_out_;
  std::reverse(turned.label_names.begin(), turned.label_names.end());
  for (auto& example : turned.train) example.label = 2 - example.label;

  const auto result = Evaluate(turned);

  ASSERT_TRUE(result.ok() && straight.ok());
  EXPECT_EQ(result->loss, straight->loss);
}

TEST_F(EvaluationTest, ALabelThatTheVersionDoesntKnowIsRefused) {
  held_out_.label_names[1] = "angry";

  EXPECT_EQ(ReasonOf(Evaluate(held_out_).status()), "UNKNOWN_LABEL");
}

TEST_F(EvaluationTest, AnExampleWithoutALabelIsRefusedHereAndInTraining) {
  held_out_.train[7].label = -1;

  EXPECT_EQ(ReasonOf(Evaluate(held_out_).status()), "LABEL_MISSING");
  const auto spec = MakeSpec({{"lora", Json::object()}});
  const auto data = std::make_shared<const datasets::IngestedDataset>(held_out_);
  EXPECT_EQ(ReasonOf(RunJob(*engine_, MakeRequest(spec, data)).status()), "LABEL_MISSING");
}

TEST_F(EvaluationTest, NoExamplesAreRefused) {
  held_out_.train.clear();

  EXPECT_EQ(Evaluate(held_out_).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace graft::worker::engine
