#include "common/datasets/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Sorted(const std::vector<std::string>& seen) {
  LabelTable table({});
  for (const std::string& name : seen) EXPECT_TRUE(table.Find(name));
  table.Close();
  table.Sort();
  return table.names();
}

TEST(LabelTableTest, SortsWordsByBytes) {
  EXPECT_THAT(Sorted({"spam", "ham", "Ham", "\xC3\xA4"}),
              ElementsAre("Ham", "ham", "spam", "\xC3\xA4"));
}

TEST(LabelTableTest, SortsIntegersByValue) {
  EXPECT_THAT(Sorted({"10", "2", "0", "-1", "1"}), ElementsAre("-1", "0", "1", "2", "10"));
}

TEST(LabelTableTest, SortsNumbersByValue) {
  EXPECT_THAT(Sorted({"10", "2", "1.5"}), ElementsAre("1.5", "2", "10"));
  EXPECT_THAT(Sorted({"1.0", "0.5", "-0.5"}), ElementsAre("-0.5", "0.5", "1.0"));
}

TEST(LabelTableTest, EqualValuesStayApart) {
  EXPECT_THAT(Sorted({"1", "01", "0"}), ElementsAre("0", "01", "1"));
}

TEST(LabelTableTest, OneWordMakesAllWords) {
  EXPECT_THAT(Sorted({"10", "2", "x"}), ElementsAre("10", "2", "x"));
}

TEST(LabelTableTest, SortTellsTheNewIndices) {
  LabelTable table({});
  EXPECT_EQ(table.Find("b"), 0);
  EXPECT_EQ(table.Find("c"), 1);
  EXPECT_EQ(table.Find("a"), 2);
  EXPECT_EQ(table.Find("b"), 0);
  table.Close();

  EXPECT_THAT(table.Sort(), ElementsAre(1, 2, 0));
  EXPECT_EQ(table.Find("a"), 0);
  EXPECT_EQ(table.Find("c"), 2);
}

TEST(LabelTableTest, ClosedTablesTakeNoMore) {
  LabelTable table({});
  EXPECT_TRUE(table.Find("a"));
  table.Close();

  EXPECT_FALSE(table.Find("b"));
  EXPECT_TRUE(table.Find("a"));
}

TEST(LabelTableTest, FixedNamesKeepTheirOrder) {
  LabelTable table({"pos", "neg"});

  EXPECT_EQ(table.Find("neg"), 1);
  EXPECT_FALSE(table.Find("other"));
  EXPECT_THAT(table.Sort(), ElementsAre(0, 1));
  EXPECT_THAT(table.names(), ElementsAre("pos", "neg"));
}

}  // namespace
}  // namespace graft::datasets
