// Every form of data file in data_files.h is read as it says, or refused in words that lead on.

#include "tests/common/datasets/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

struct Result {
  Report report;
  IngestedDataset dataset;
};

/// Reads the file; at most `piece` bytes a time.
Result Read(const DataFile& file, size_t piece) {
  IngestSpec spec;
  spec.train = {file.name, [&file, piece]() -> StatusOr<std::unique_ptr<ByteSource>> {
                  return std::make_unique<PiecewiseSource>(file.bytes, piece);
                }};
  spec.text_columns = {file.has_header ? "text" : "1"};
  spec.label_column = file.has_header ? "label" : "2";
  spec.has_header = file.has_header;
  spec.format = file.format;
  Result result;
  auto report = Ingest(spec, &result.dataset);
  EXPECT_TRUE(report.ok()) << file.shows << ": " << report.status();
  if (report.ok()) result.report = *std::move(report);
  return result;
}

std::string CountLabels(const SplitReport& split) {
  std::string text;
  for (const auto& [label, count] : split.labels)
    text += (text.empty() ? "" : " ") + label + "=" + std::to_string(count);
  return text;
}

void ExpectRead(const DataFile& file, const Result& result) {
  const Report& report = result.report;
  ASSERT_TRUE(report.usable()) << file.shows << ": " << report.Summary();
  const std::string labels = CountLabels(report.splits.at(0));
  if (file.outcome.ends_with(" labels")) {
    EXPECT_EQ(std::to_string(report.splits[0].labels.size()) + " labels", file.outcome)
        << file.shows << ": " << labels;
  } else {
    EXPECT_EQ(labels, file.outcome) << file.shows;
  }
  if (!file.first_text.empty()) {
    EXPECT_EQ(result.dataset.train.at(0).text, file.first_text) << file.shows;
  }
  if (!file.warning.empty()) {
    EXPECT_THAT(report.warnings, ::testing::Contains(HasSubstr(file.warning))) << file.shows;
  }
}

void ExpectRefused(const DataFile& file, const Report& report) {
  ASSERT_FALSE(report.usable()) << file.shows << " was read: " << report.Summary();
  std::string messages;
  for (const ErrorDetail& error : report.errors) messages += error.message + "\n";
  std::istringstream pieces(file.outcome.substr(1));
  for (std::string piece; std::getline(pieces, piece, '|');) {
    piece = piece.substr(1, piece.find_last_not_of(' '));
    EXPECT_THAT(messages, HasSubstr(piece)) << file.shows;
  }
}

class DataFileTableTest : public ::testing::TestWithParam<size_t> {};

TEST_P(DataFileTableTest, AreReadOrNamed) {
  for (const std::vector<DataFile>& files : {FormFiles(), LabelFiles()}) {
    for (const DataFile& file : files) {
      const Result result = Read(file, GetParam());
      if (file.outcome.starts_with("!")) {
        ExpectRefused(file, result.report);
      } else {
        ExpectRead(file, result);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ByPieces, DataFileTableTest, ::testing::Values(1, 7, 1 << 20));

TEST(DataFilesTest, ADamagedGzipNamesOneLineHoweverItIsRead) {
  std::string csv = "text,label\n";
  for (int i = 0; i < 30000; ++i)
    csv += "w" + std::to_string(i * 7919 % 30000) + (i % 2 == 0 ? " x,spam\n" : " y,ham\n");
  std::string damaged = Gzip(csv);
  damaged[damaged.size() - 5] ^= 0x55;  // Of its checksum: all text is good.
  std::set<int64_t> lines;

  for (const size_t piece : {1, 13, 4096, 1 << 20}) {
    const Result result = Read({"damaged", "a.csv.gz", damaged, ""}, piece);
    ASSERT_EQ(result.report.errors.size(), 1U);
    EXPECT_EQ(result.report.errors[0].reason, "BAD_GZIP");
    lines.insert(result.report.errors[0].line);
  }

  EXPECT_EQ(lines, std::set<int64_t>{30002});
}

TEST(DataFilesTest, TableIsLarge) { EXPECT_GE(FormFiles().size() + LabelFiles().size(), 60U); }

TEST(DataFilesTest, ATwinInTheTestDataIsNamed) {
  IngestSpec spec = CsvSpec("text,label\nw1,spam\nw2,ham\n");
  spec.test = FileOf("test.csv", "text,label\nw1,spam\nw3,spam\xC2\xA0\nw4,HAM\n");

  const auto report = Ingest(spec, nullptr);

  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->errors.size(), 2U);
  EXPECT_EQ(report->errors[0].reason, "LABEL_NOT_IN_TRAIN");
  EXPECT_EQ(report->errors[0].line, 3);
  EXPECT_THAT(report->errors[0].message, HasSubstr("\"spam\\u00a0\""));
  EXPECT_THAT(report->errors[0].message, HasSubstr("\"spam\" (line 2 of dataset.train)"));
  EXPECT_THAT(report->errors[1].message, HasSubstr("\"ham\" (line 3 of dataset.train)"));
  EXPECT_THAT(report->errors[1].message, HasSubstr("case"));
}

TEST(DataFilesTest, GivenNamesThatAreOneLabelAreRefused) {
  IngestSpec spec = CsvSpec("text,label\nw1,spam\nw2,ham\n");
  spec.label_names = {"ham", "spam", "spam\xE2\x80\x8B"};

  EXPECT_THAT(Ingest(spec, nullptr).status().message(), HasSubstr("\"spam\\u200b\""));
  spec.allow_one_class = true;
  EXPECT_TRUE(Ingest(spec, nullptr).ok()) << "an older version's own names";
}

TEST(DataFilesTest, RowsOfNothingAreCounted) {
  const auto report = Ingest(CsvSpec("text,label\nw1,a\nw2,b\n,\n , \n"), nullptr);

  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->warnings, ::testing::Contains(HasSubstr("2 rows hold nothing")));
  EXPECT_THAT(report->warnings, ::testing::Contains(HasSubstr("line 4")));
}

TEST(DataFilesTest, ATextThatIsNotSeenIsEmpty) {
  const auto report =
      Ingest(CsvSpec("text,label\n\xC2\xA0\xE2\x80\x8B,a\nw2,b\nw3,\xC2\xA0\n"), nullptr);

  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->errors.size(), 2U);
  EXPECT_EQ(report->errors[0].reason, "TEXT_EMPTY");
  EXPECT_EQ(report->errors[1].reason, "LABEL_MISSING");
}

}  // namespace
}  // namespace graft::datasets
