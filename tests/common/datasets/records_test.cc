#include "common/datasets/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

TEST(FormatOfTest, ReadsNamesAndLooksThroughGz) {
  EXPECT_EQ(*FormatOf("train.csv", ""), Format::kCsv);
  EXPECT_EQ(*FormatOf("/data/Train.CSV.GZ", ""), Format::kCsv);
  EXPECT_EQ(*FormatOf("a.tsv", ""), Format::kTsv);
  EXPECT_EQ(*FormatOf("a.tab.gz", ""), Format::kTsv);
  EXPECT_EQ(*FormatOf("a.jsonl", ""), Format::kJsonl);
  EXPECT_EQ(*FormatOf("a.ndjson", ""), Format::kJsonl);
  EXPECT_EQ(*FormatOf("a.json-lines.gz", ""), Format::kJsonl);
}

TEST(FormatOfTest, TheExplicitFormatWins) {
  EXPECT_EQ(*FormatOf("data.txt", "tsv"), Format::kTsv);
  EXPECT_EQ(*FormatOf("data.csv", "jsonl"), Format::kJsonl);
  EXPECT_EQ(*FormatOf("", "csv"), Format::kCsv);
  EXPECT_EQ(*FormatOf("", "JSON"), Format::kJsonl);
}

TEST(FormatOfTest, SaysWhatItKnows) {
  for (const char* name : {"", "csv", "train", "train.txt", "train.gz", "a.csv/train"}) {
    const auto format = FormatOf(name, "");
    ASSERT_FALSE(format.ok()) << name;
    EXPECT_EQ(format.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(format.status().message(), HasSubstr(".csv, .tsv, .jsonl or .json"));
  }
  EXPECT_THAT(FormatOf("a.csv.zip", "").status().message(), HasSubstr("unzip it"));
  EXPECT_THAT(FormatOf("train.csv", "parquet").status().message(),
              HasSubstr("csv, tsv, jsonl or json"));
}

}  // namespace
}  // namespace graft::datasets
