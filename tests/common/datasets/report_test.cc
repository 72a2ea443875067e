#include "common/datasets/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Example Labelled(std::string text, int32_t label) { return {std::move(text), "", label}; }

TEST(CountSplitTest, CountsLabelsAndBytes) {
  const std::vector<Example> examples = {{"four", "", 0}, {"ten", "pair ok", 2}, {"x", "", 0}};

  const SplitReport split = CountSplit("train", examples, {"a", "b", "c"});

  EXPECT_EQ(split.name, "train");
  EXPECT_EQ(split.examples, 3);
  EXPECT_EQ(split.labels, (std::map<std::string, int64_t>{{"a", 2}, {"b", 0}, {"c", 1}}));
  EXPECT_EQ(split.min_bytes, 1);
  EXPECT_EQ(split.max_bytes, 10);
  EXPECT_DOUBLE_EQ(split.mean_bytes, 5.0);
}

TEST(CountSplitTest, NothingIsZero) {
  const SplitReport split = CountSplit("test", {}, {"a"});

  EXPECT_EQ(split.examples + split.min_bytes + split.max_bytes, 0);
  EXPECT_EQ(split.mean_bytes, 0);
}

TEST(ReportTest, ListsTwentyAndCountsTheRest) {
  Report report;
  for (int i = 1; i <= 25; ++i)
    report.AddError({"TEXT_EMPTY", "dataset.train", i, "text", "the text is empty"});

  const Status status = ToStatus(report);

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.details().size(), 20U);
  EXPECT_EQ(status.details().back().line, 20);
  EXPECT_EQ(report.omitted_errors, 5);
  EXPECT_EQ(
      status.message(),
      "dataset.train line 1 column \"text\": the text is empty (the first of 25 faults in the "
      "data; 20 are listed, 5 more are not)");
}

TEST(ReportTest, OneFaultIsOneSentence) {
  Report report;
  report.AddError({"EMPTY_FILE", "dataset.test", 0, "", "the file is empty"});

  EXPECT_EQ(ToStatus(report).message(), "dataset.test: the file is empty");
}

TEST(ReportTest, UsableDataHasASummary) {
  Report report;
  report.splits = {CountSplit("train", {Labelled("x", 0), Labelled("y", 1)}, {"a", "b"}),
                   CountSplit("test", {Labelled("z", 1)}, {"a", "b"})};

  EXPECT_EQ(report.Summary(), "2 train examples, 1 test example, 2 labels");
  EXPECT_TRUE(ToStatus(report).ok());
}

TEST(FindDoubtsTest, CleanDataHasNone) {
  IngestedDataset dataset;
  dataset.label_names = {"a", "b"};
  dataset.train = {Labelled("x", 0), Labelled("y", 1)};
  dataset.validation = {Labelled("z", 1)};

  EXPECT_THAT(FindDoubts(dataset), IsEmpty());
}

TEST(FindDoubtsTest, CountsRepeatsContradictionsAndLeaks) {
  IngestedDataset dataset;
  dataset.label_names = {"a", "b"};
  dataset.train = {Labelled("x", 0), Labelled("x", 0), Labelled("y", 1), Labelled("y", 0),
                   Labelled("y", 1)};
  dataset.validation = {Labelled("x", 0), Labelled("z", 1), Labelled("z", 1)};
  dataset.test = {Labelled("z", 0)};

  EXPECT_THAT(FindDoubts(dataset),
              ElementsAre("3 training examples of 5 repeat an earlier text",
                          "1 training text stands there with different labels",
                          AllOf(HasSubstr("1 validation example of 3 is also in train"))));
}

TEST(FindDoubtsTest, NamesUnevenAndAbsentLabels) {
  IngestedDataset dataset;
  dataset.label_names = {"few", "many", "none"};
  for (int i = 0; i < 40; ++i)
    dataset.train.push_back(Labelled("x" + std::to_string(i), i < 4 ? 0 : 1));
  EXPECT_THAT(FindDoubts(dataset), ElementsAre(HasSubstr("no training example: \"none\"")));

  dataset.train.erase(dataset.train.begin());
  EXPECT_THAT(FindDoubts(dataset),
              ElementsAre(HasSubstr("no training example: \"none\""),
                          HasSubstr("\"many\" has 36 training examples, \"few\" has 3")));
}

TEST(FindDoubtsTest, NamesLongTexts) {
  IngestedDataset dataset;
  dataset.train = {{std::string(20000, 'x'), "", -1}, {std::string(30000, 'y'), "", -1}};

  EXPECT_THAT(FindDoubts(dataset),
              ElementsAre(HasSubstr("1 text is longer than 20000 bytes (the longest has 30000)")));
}

}  // namespace
}  // namespace graft::datasets
