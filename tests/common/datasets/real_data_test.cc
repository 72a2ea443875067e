/// Real data, where it is: the CMake variable GRAFT_TEST_DATA names the folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/sha256.h"
#include "common/datasets/ingest.h"
#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RealDataTest : public testing::Test {
 protected:
  /// Path of a file, or an empty one and a skipped test.
  static std::filesystem::path Find(const std::string& name) {
    const auto path = std::filesystem::path(GRAFT_TEST_DATA) / name;
    return std::filesystem::exists(path) ? path : std::filesystem::path();
  }
  static SourceFile FileAt(const std::filesystem::path& path) {
    return {path.filename().string(), [path] { return FromFile(path); }};
  }
};

TEST_F(RealDataTest, ImdbIsReadSplitAndStoredInSeconds) {
  const auto path = Find("imdb/movie_data.csv.gz");
  if (path.empty())
    GTEST_SKIP() << "configure with -DGRAFT_TEST_DATA=<folder with imdb/movie_data.csv.gz>";
  IngestSpec spec;
  spec.train = FileAt(path);
  spec.text_columns = {"review"};
  spec.label_column = "sentiment";
  spec.validation_fraction = 0.1;
  spec.test_fraction = 0.2;
  IngestedDataset dataset;
  const auto start = std::chrono::steady_clock::now();

  const auto report = Ingest(spec, &dataset);

  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->usable()) << ToStatus(*report);
  const auto ingested = std::chrono::steady_clock::now();
  const std::string bytes = Serialize(dataset);
  const auto serialized = std::chrono::steady_clock::now();
  const auto parsed = Parse(bytes);
  const auto finished = std::chrono::steady_clock::now();
  const auto seconds = [](auto from, auto to) {
    return std::chrono::duration<double>(to - from).count();
  };
  std::cout << "ingest " << seconds(start, ingested) << " s, serialize "
            << seconds(ingested, serialized) << " s, parse " << seconds(serialized, finished)
            << " s\n";
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, dataset);
  EXPECT_THAT(dataset.label_names, ElementsAre("0", "1"));
  EXPECT_EQ(dataset.train.size(), 35000U);
  EXPECT_EQ(dataset.validation.size(), 5000U);
  EXPECT_EQ(dataset.test.size(), 10000U);
  int64_t positive = 0;
  for (const SplitReport& split : report->splits) positive += split.labels.at("1");
  EXPECT_EQ(positive, 25000);
  EXPECT_THAT(report->warnings.at(0), HasSubstr("418 training examples of 50000 repeat"));
  EXPECT_LT(seconds(start, serialized), 30);  // A guard against a wrong algorithm, not a figure.
}

TEST_F(RealDataTest, SmsIsReadWithoutAHeader) {
  const auto path = Find("sms_spam/sms_spam.normalised.tsv");
  if (path.empty()) GTEST_SKIP() << "configure with -DGRAFT_TEST_DATA=<folder with sms_spam>";
  IngestSpec spec;
  spec.train = FileAt(path);
  spec.text_columns = {"2"};
  spec.label_column = "1";
  spec.has_header = false;
  IngestedDataset dataset;

  const auto report = Ingest(spec, &dataset);

  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->usable()) << ToStatus(*report);
  EXPECT_EQ(dataset.train.size(), 5574U);
  EXPECT_THAT(dataset.label_names, ElementsAre("ham", "spam"));
  EXPECT_EQ(report->splits[0].labels.at("spam"), 747);
  EXPECT_TRUE(dataset.train[0].text.starts_with("Go until jurong point"));
}

/// Its JSON nests [text, intent] pairs; a client turns it into lines.
TEST_F(RealDataTest, ClincIsReadAsJsonLines) {
  const auto path = Find("clinc150/data_full.json");
  if (path.empty()) GTEST_SKIP() << "configure with -DGRAFT_TEST_DATA=<folder with clinc150>";
  const Json nested = *ParseJson(*ReadFile(path), "clinc150");
  const auto lines = [&](const char* split, const char* out_of_scope) {
    std::string jsonl;
    for (const char* part : {split, out_of_scope}) {
      for (const Json& pair : nested[part]) {
        jsonl += Json{{"text", pair[0]}, {"intent", pair[1]}}.dump() + "\n";
      }
    }
    return jsonl;
  };
  IngestSpec spec;
  spec.train = FileOf("train.jsonl", lines("train", "oos_train"));
  spec.validation = FileOf("val.jsonl", lines("val", "oos_val"));
  spec.test = FileOf("test.jsonl.gz", Gzip(lines("test", "oos_test")));
  spec.text_columns = {"text"};
  spec.label_column = "intent";
  IngestedDataset dataset;

  const auto report = Ingest(spec, &dataset);

  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->usable()) << ToStatus(*report);
  EXPECT_EQ(dataset.label_names.size(), 151U);
  EXPECT_EQ(dataset.train.size(), 15100U);
  EXPECT_EQ(dataset.validation.size(), 3100U);
  EXPECT_EQ(dataset.test.size(), 5500U);
}

}  // namespace
}  // namespace graft::datasets
