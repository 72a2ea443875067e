#include "client/cli/figures.h"

#include <gtest/gtest.h>

namespace graft::cli {
namespace {

TEST(FiguresTest, MetricsStandByTheirNamesWithTheLossBehind) {
  graft::v1::Evaluation evaluation;
  evaluation.set_loss(0.25);
  (*evaluation.mutable_metrics())["macro_f1"] = 0.5;
  (*evaluation.mutable_metrics())["accuracy"] = 0.875;

  EXPECT_EQ(Figures(evaluation), "accuracy 0.8750  macro F1 0.5000  loss 0.2500");
  EXPECT_EQ(FirstFigure(evaluation), "accuracy 0.8750");
}

TEST(FiguresTest, AnOldServersFieldsAreRead) {
  graft::v1::Evaluation evaluation;
  evaluation.set_accuracy(0.875);

  EXPECT_EQ(Figures(evaluation), "accuracy 0.8750  macro F1 0.0000  loss 0.0000");
}

TEST(FiguresTest, ATaskWithoutAccuracyShowsNone) {
  graft::v1::Evaluation evaluation;
  (*evaluation.mutable_metrics())["token_accuracy"] = 0.5;
  (*evaluation.mutable_metrics())["perplexity"] = 3;

  EXPECT_EQ(Figures(evaluation), "perplexity 3.0000  token accuracy 0.5000  loss 0.0000");
  EXPECT_EQ(FirstFigure(evaluation), "perplexity 3.0000");
}

}  // namespace
}  // namespace graft::cli
