#include "worker/engine/tasks/classification.h"

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/details.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<const tokenizers::Tokenizer> WordPiece() {
  const auto loaded =
      tokenizers::LoadTokenizer(std::filesystem::path(testing::GoldenFolder()) / "base-bert");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return *loaded;
}

std::shared_ptr<const Task> ThreeLabels() {
  return MakeTask(tasks::Classification({"no", "yes", "maybe"}));
}

/// The data knows its labels in another order, and one more.
datasets::IngestedDataset Data(std::vector<datasets::Example> examples) {
  datasets::IngestedDataset data;
  data.label_names = {"yes", "no", "other"};
  data.train = std::move(examples);
  return data;
}

TEST(ClassificationTest, TargetsAreTheTasksNumbersOfTheDatasLabels) {
  const auto tokenizer = WordPiece();
  const datasets::IngestedDataset data = Data({{"w1 w2", "", 0}, {"w3", "", 1}});
  const auto encoder =
      ThreeLabels()->NewEncoder({.dataset = data, .tokenizer = *tokenizer, .max_length = 24});

  const auto split = Tokenize(data.train, *encoder);

  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->size(), 2);
  EXPECT_THAT(split->targets, ElementsAre(1, 0));
  EXPECT_THAT(split->target_offsets, ElementsAre(0, 1, 2));
  EXPECT_THAT(split->offsets, ElementsAre(0, 4, 7)) << "[CLS] w1 w2 [SEP] [CLS] w3 [SEP]";
  EXPECT_EQ(split->num_targets(1), 1);
  EXPECT_EQ(split->num_truncated, 0);
}

TEST(ClassificationTest, PairsAndLengthsAreTheEncoders) {
  const auto tokenizer = WordPiece();
  datasets::IngestedDataset data = Data({{"w1 w2 w3", "w4", 0}});
  data.has_pair = true;
  const auto encoder =
      ThreeLabels()->NewEncoder({.dataset = data, .tokenizer = *tokenizer, .max_length = 5});

  const auto split = Tokenize(data.train, *encoder);

  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->length(0), 5);
  EXPECT_EQ(split->type_ids.back(), 1);
  EXPECT_EQ(split->num_truncated, 1);
}

TEST(ClassificationTest, ExamplesThatHaveNoTargetAreRefused) {
  const auto tokenizer = WordPiece();
  const datasets::IngestedDataset data = Data({{"w1", "", -1}, {"w2", "", 2}});
  const auto encoder =
      ThreeLabels()->NewEncoder({.dataset = data, .tokenizer = *tokenizer, .max_length = 24});
  TokenizedSplit split;

  const Status missing = encoder->Append(data.train[0], split);
  const Status unknown = encoder->Append(data.train[1], split);

  EXPECT_EQ(ReasonOf(missing), "LABEL_MISSING");
  EXPECT_EQ(ReasonOf(unknown), "UNKNOWN_LABEL");
  EXPECT_THAT(unknown.message(), HasSubstr("\"other\""));
  EXPECT_EQ(FieldOf(unknown), "dataset.label_column");
  EXPECT_THAT(split.ids, IsEmpty());
}

TEST(ClassificationTest, TheLossIsCrossEntropySummedOverRows) {
  const at::Tensor outputs = at::tensor({1.0F, 2.0F, 0.5F, 0.0F, -1.0F, 3.0F}).view({2, 3});
  const at::Tensor targets = at::tensor({1, 0}, at::kLong);
  const auto of = [](double own, double a, double b) {
    return std::log(std::exp(own) + std::exp(a) + std::exp(b)) - own;
  };

  const double loss = ThreeLabels()->Loss(outputs, targets).item<double>();

  EXPECT_NEAR(loss, of(2, 1, 0.5) + of(0, -1, 3), 1e-5);
}

TEST(ClassificationTest, PassesOfAnEvaluationAddUp) {
  // Predicted 1, 2, 0; the truth is 1, 0, 0.
  const at::Tensor outputs =
      at::tensor({1.0F, 2.0F, 0.5F, 0.0F, -1.0F, 3.0F, 2.0F, 0.0F, 1.0F}).view({3, 3});
  const std::vector<int32_t> targets = {1, 0, 0};
  const auto task = ThreeLabels();
  const auto at_once = task->NewScorer();
  const auto in_parts = task->NewScorer();

  ASSERT_TRUE(at_once->Add(outputs, targets).ok());
  ASSERT_TRUE(in_parts->Add(outputs.narrow(0, 0, 1), std::span(targets).first(1)).ok());
  ASSERT_TRUE(in_parts->Add(outputs.narrow(0, 1, 2), std::span(targets).last(2)).ok());

  Evaluation whole, parts;
  at_once->Result(whole);
  in_parts->Result(parts);
  EXPECT_NEAR(whole.metrics.at("accuracy"), 2.0 / 3, 1e-9);
  // F1 of "no" is 2/3, of "yes" 1, of "maybe" 0: it was predicted.
  EXPECT_NEAR(whole.metrics.at("macro_f1"), (2.0 / 3 + 1 + 0) / 3, 1e-9);
  EXPECT_NEAR(whole.loss, task->Loss(outputs, at::tensor({1, 0, 0}, at::kLong)).item<double>() / 3,
              1e-6);
  EXPECT_EQ(whole.labels.at(0).examples, 2);
  EXPECT_EQ(whole.labels.at(0).label, "no");
  EXPECT_EQ(parts.metrics, whole.metrics);
  EXPECT_EQ(parts.loss, whole.loss);
}

TEST(ClassificationTest, OutputsThatAreNotFiniteAreRefusedAndNotCounted) {
  const std::vector<int32_t> targets = {0};
  const auto scorer = ThreeLabels()->NewScorer();
  ASSERT_TRUE(scorer->Add(at::tensor({1.0F, 0.0F, 0.0F}).view({1, 3}), targets).ok());

  const Status status = scorer->Add(
      at::tensor({1.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F}).view({1, 3}), targets);

  EXPECT_EQ(ReasonOf(status), "NON_FINITE_LOSS");
  Evaluation evaluation;
  scorer->Result(evaluation);
  EXPECT_EQ(evaluation.metrics.at("accuracy"), 1);
}

TEST(ClassificationTest, ProbabilitiesAreASoftmax) {
  const std::vector<float> p = Probabilities({1000, 1000 + std::log(3.0F)});

  EXPECT_NEAR(p.at(0), 0.25, 1e-4);
  EXPECT_NEAR(p.at(1), 0.75, 1e-4);
}

}  // namespace
}  // namespace graft::worker::engine
