#include "common/datasets/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;

std::vector<const Example*> Pointers(const std::vector<Example>& examples) {
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  return pointers;
}

/// `n` examples, of which each fifth repeats the text of an earlier one.
IngestedDataset Numbered(int n) {
  IngestedDataset dataset;
  dataset.label_names = {"a", "b"};
  for (int i = 0; i < n; ++i) {
    const int text = i % 5 == 4 ? i / 2 : i;
    dataset.train.push_back({"text " + std::to_string(text), "", text % 2});
  }
  return dataset;
}

std::set<std::string> Texts(const std::vector<Example>& examples) {
  std::set<std::string> texts;
  for (const Example& example : examples) texts.insert(example.text);
  return texts;
}

TEST(GroupByTextTest, NumbersDistinctTextsByFirstAppearance) {
  const std::vector<Example> examples = {{"b", "", 0},  {"a", "", 0},  {"b", "", 1},
                                         {"a", "x", 0}, {"", "ax", 0}, {"a", "x", 1}};

  const TextGroups groups = GroupByText(Pointers(examples));

  EXPECT_THAT(groups.group_of, ElementsAre(0, 1, 0, 2, 3, 2));
  EXPECT_EQ(groups.num_groups, 4U);
}

TEST(GroupByTextTest, NoExamplesAreNoGroups) { EXPECT_EQ(GroupByText({}).num_groups, 0U); }

TEST(SplitByFractionTest, GivesTheSizesAskedFor) {
  IngestedDataset dataset = Numbered(1000);

  ASSERT_TRUE(SplitByFraction(0.1, 0.25, 42, dataset).ok());

  EXPECT_EQ(dataset.validation.size(), 100U);
  EXPECT_EQ(dataset.test.size(), 250U);
  EXPECT_EQ(dataset.train.size(), 650U);
}

TEST(SplitByFractionTest, LosesAndMakesNothing) {
  IngestedDataset dataset = Numbered(500);
  std::multiset<std::string> before;
  for (const Example& example : dataset.train) before.insert(example.text);

  ASSERT_TRUE(SplitByFraction(0.2, 0.3, 1, dataset).ok());

  std::multiset<std::string> after;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) after.insert(example.text);
  }
  EXPECT_EQ(after, before);
}

TEST(SplitByFractionTest, KeepsEqualTextsOnOneSide) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    IngestedDataset dataset = Numbered(200);

    ASSERT_TRUE(SplitByFraction(0.3, 0.3, seed, dataset).ok());

    const auto train = Texts(dataset.train);
    const auto validation = Texts(dataset.validation);
    const auto test = Texts(dataset.test);
    std::set<std::string> all = train;
    all.insert(validation.begin(), validation.end());
    all.insert(test.begin(), test.end());
    EXPECT_EQ(all.size(), train.size() + validation.size() + test.size()) << seed;
  }
}

TEST(SplitByFractionTest, KeepsTheFilesOrderWithinASplit) {
  IngestedDataset dataset;
  for (int i = 0; i < 100; ++i)
    dataset.train.push_back({std::string(static_cast<size_t>(i + 1), 'x'), "", 0});

  ASSERT_TRUE(SplitByFraction(0.3, 0.3, 3, dataset).ok());

  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (size_t i = 1; i < split->size(); ++i) {
      EXPECT_LT((*split)[i - 1].text.size(), (*split)[i].text.size());
    }
  }
}

TEST(SplitByFractionTest, IsAFunctionOfTheSeed) {
  IngestedDataset first = Numbered(300);
  IngestedDataset again = Numbered(300);
  IngestedDataset other = Numbered(300);

  ASSERT_TRUE(SplitByFraction(0.2, 0.2, 5, first).ok());
  ASSERT_TRUE(SplitByFraction(0.2, 0.2, 5, again).ok());
  ASSERT_TRUE(SplitByFraction(0.2, 0.2, 6, other).ok());

  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
}

TEST(SplitByFractionTest, DrawsTheSameOnEveryMachine) {
  IngestedDataset dataset;
  for (int i = 0; i < 10; ++i) dataset.train.push_back({std::to_string(i), "", 0});

  ASSERT_TRUE(SplitByFraction(0.2, 0.3, 42, dataset).ok());

  const auto digits = [](const std::vector<Example>& split) {
    std::string all;
    for (const Example& example : split) all += example.text;
    return all;
  };
  // If these change, resumed and repeated jobs would train on other examples.
  EXPECT_EQ(digits(dataset.train) + "/" + digits(dataset.validation) + "/" + digits(dataset.test),
            "34678/29/015");
}

TEST(SplitByFractionTest, AGroupThatDoesNotFitStaysInTrain) {
  IngestedDataset dataset;
  for (int i = 0; i < 90; ++i) dataset.train.push_back({"the same", "", 0});
  for (int i = 0; i < 10; ++i) dataset.train.push_back({std::to_string(i), "", 1});

  ASSERT_TRUE(SplitByFraction(0.05, 0, 42, dataset).ok());

  EXPECT_EQ(dataset.validation.size(), 5U);
  EXPECT_EQ(Texts(dataset.validation).count("the same"), 0U);
}

TEST(SplitByFractionTest, ASplitWithoutExamplesIsAnError) {
  IngestedDataset few = Numbered(4);
  const Status none = SplitByFraction(0.1, 0, 42, few);
  EXPECT_EQ(none.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(none.details().at(0).reason, "SPLIT_EMPTY");
  EXPECT_EQ(none.details().at(0).field, "dataset.validation_fraction");

  IngestedDataset one = Numbered(1);
  EXPECT_EQ(SplitByFraction(0, 0.9, 42, one).details().at(0).reason, "SPLIT_EMPTY");
}

TEST(KeepAtMostTest, KeepsADrawInTheFilesOrder) {
  std::vector<Example> all;
  for (int i = 0; i < 100; ++i) all.push_back({std::to_string(i), "", 0});
  std::vector<Example> kept = all;
  std::vector<Example> again = all;

  KeepAtMost(30, 7, kept);
  KeepAtMost(30, 7, again);

  ASSERT_EQ(kept.size(), 30U);
  EXPECT_EQ(kept, again);
  EXPECT_EQ(Texts(kept).size(), 30U);
  for (size_t i = 1; i < kept.size(); ++i) {
    EXPECT_LT(std::stoi(kept[i - 1].text), std::stoi(kept[i].text));
  }
  // Not the first 30: files are often sorted by label.
  EXPECT_GT(std::stoi(kept.back().text), 50);
}

TEST(KeepAtMostTest, EnoughIsANoOp) {
  std::vector<Example> all = {{"a", "", 0}, {"b", "", 1}};
  KeepAtMost(2, 7, all);
  EXPECT_EQ(all.size(), 2U);
}

}  // namespace
}  // namespace graft::datasets
