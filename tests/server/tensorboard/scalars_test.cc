#include "server/tensorboard/scalars.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::tensorboard {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<std::pair<std::string, double>> Values(const Event& event) {
  std::vector<std::pair<std::string, double>> values;
  for (const Scalar& scalar : event.scalars) values.emplace_back(scalar.tag, scalar.value);
  return values;
}

TEST(ScalarsTest, ProgressGivesWhatTrainingTells) {
  core::JobEvent event;
  event.number = 12;
  event.time = 1'500'000;
  event.kind = core::EventKind::kProgress;
  event.progress.step = 40;
  event.progress.loss = 0.25;
  event.progress.learning_rate = 1e-3;
  event.progress.grad_norm = 2;
  event.progress.tokens_per_second = 800;

  const auto shown = ScalarsOf(event);

  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->number, 12);
  EXPECT_EQ(shown->step, 40);
  EXPECT_EQ(shown->wall_time, 1.5);
  EXPECT_THAT(Values(*shown),
              ElementsAre(Pair("train/loss", 0.25), Pair("train/learning_rate", 1e-3),
                          Pair("train/grad_norm", 2.0), Pair("train/tokens_per_second", 800.0)));
}

TEST(ScalarsTest, AnEvaluationGivesItsLossAndEachMetricUnderItsSplit) {
  core::JobEvent event;
  event.kind = core::EventKind::kEvaluation;
  event.evaluation.step = 8;
  event.evaluation.split = "validation";
  event.evaluation.loss = 0.5;
  event.evaluation.metrics = {{"accuracy", 0.75}, {"macro_f1", 0.7}};

  const auto shown = ScalarsOf(event);

  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->step, 8);
  EXPECT_THAT(Values(*shown),
              ElementsAre(Pair("eval/validation/loss", 0.5), Pair("eval/validation/accuracy", 0.75),
                          Pair("eval/validation/macro_f1", 0.7)));
}

TEST(ScalarsTest, OtherEventsHaveNothingToShow) {
  for (const auto kind :
       {core::EventKind::kStateChange, core::EventKind::kCheckpoint, core::EventKind::kWarning,
        core::EventKind::kVersionCreated, core::EventKind::kSample}) {
    core::JobEvent event;
    event.kind = kind;

    EXPECT_FALSE(ScalarsOf(event));
  }
}

TEST(ScalarsTest, AFileIsFoundByItsJob) {
  core::Job job;
  job.key.id = "01j";
  job.adapter = "support";
  job.create_time = 1'753'000'000'999'999;

  EXPECT_EQ(FileOf("/tb", job), "/tb/support/01j/events.out.tfevents.1753000000.graft");
}

}  // namespace
}  // namespace graft::server::tensorboard
