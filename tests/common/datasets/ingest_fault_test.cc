/// Every fault of the data, with its reason, field, line and column.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/datasets/ingest.h"
#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

const char kGood[] = "text,label\na,0\nb,1\n";

struct Fault {
  const char* name;
  std::string train;
  /// "train:3 TEXT_EMPTY text" each.
  std::vector<std::string> errors;
  std::string says = "";  ///< In the first message.
  std::string validation = "";
  std::string test = "";
  std::string file = "train.csv";
  std::function<void(IngestSpec&)> change = {};
};

void PrintTo(const Fault& f, std::ostream* out) { *out << f.name; }

class IngestFaultTest : public testing::TestWithParam<Fault> {};

TEST_P(IngestFaultTest, IsReportedWithItsPlace) {
  const Fault& fault = GetParam();
  IngestSpec spec = CsvSpec("");
  spec.train = FileOf(fault.file, fault.train);
  if (!fault.validation.empty()) spec.validation = FileOf("validation.csv", fault.validation);
  if (!fault.test.empty()) spec.test = FileOf("test.csv", fault.test);
  if (fault.change) fault.change(spec);
  IngestedDataset dataset;

  const auto report = Ingest(spec, &dataset);

  ASSERT_TRUE(report.ok()) << report.status();
  std::vector<std::string> errors;
  for (const ErrorDetail& error : report->errors) {
    EXPECT_TRUE(error.field.starts_with("dataset.")) << error.field;
    EXPECT_FALSE(error.message.empty());
    errors.push_back(error.field.substr(8) + ":" + std::to_string(error.line) + " " + error.reason +
                     (error.column.empty() ? "" : " " + error.column));
  }
  EXPECT_EQ(errors, fault.errors);
  EXPECT_FALSE(report->usable());
  EXPECT_EQ(dataset, IngestedDataset());
  if (!report->errors.empty()) {
    EXPECT_THAT(report->errors[0].message, HasSubstr(fault.says));
  }
  EXPECT_EQ(ToStatus(*report).code(), StatusCode::kInvalidArgument);
}

std::string FaultName(const testing::TestParamInfo<Fault>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Files, IngestFaultTest,
    testing::Values(
        Fault{"Empty", "", {"train:0 EMPTY_FILE"}, "empty"},
        Fault{"EmptyJsonl", "\n", {"train:0 EMPTY_FILE"}, "empty", "", "", "a.jsonl"},
        Fault{"EmptyHeaderless",
              "",
              {"train:0 EMPTY_FILE"},
              "",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) { s.has_header = false; }},
        Fault{"HeaderOnly", "text,label\n", {"train:2 NO_EXAMPLES"}, "no example"},
        Fault{"HeaderOnlyValidation", kGood, {"validation:2 NO_EXAMPLES"}, "", "text,label\n"},
        Fault{"UnknownFormat",
              kGood,
              {"train:0 FORMAT_UNKNOWN"},
              ".csv, .tsv, .jsonl or .json",
              "",
              "",
              "train.txt"},
        Fault{"UnknownWord",
              kGood,
              {"train:0 FORMAT_UNKNOWN"},
              "parquet",
              "",
              "",
              "train.csv",
              [](IngestSpec& s) { s.format = "parquet"; }},
        Fault{"TornGzip",
              Gzip(kGood).substr(0, 30),
              {"train:4 BAD_GZIP"},
              "in the middle",
              "",
              "",
              "train.csv.gz"},
        Fault{"NoGzip", kGood, {"train:1 BAD_GZIP"}, "isn't a gzip file", "", "", "train.csv.gz"},
        Fault{"TextsTooLarge",
              "text,label\n12345,0\n12345,1\n1,0\n",
              {"train:3 TOO_LARGE"},
              "more than 9 bytes",
              "",
              "",
              "train.csv",
              [](IngestSpec& s) { s.max_bytes = 9; }}),
    FaultName);

INSTANTIATE_TEST_SUITE_P(
    Columns, IngestFaultTest,
    testing::Values(
        Fault{"NoTextColumn",
              "review,label\nx,1\n",
              {"train:1 COLUMN_MISSING text"},
              "\"review\", \"label\""},
        Fault{"NoLabelColumn",
              "text,sentiment\nx,1\n",
              {"train:1 COLUMN_MISSING label"},
              "\"text\", \"sentiment\""},
        Fault{"NoColumnInTest", kGood, {"test:1 COLUMN_MISSING label"}, "", "", "text\nx\n"},
        Fault{"NoKey",
              "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\"}\n",
              {"train:2 COLUMN_MISSING label"},
              "",
              "",
              "",
              "a.jsonl"},
        Fault{"DuplicateHeader",
              "text,label,text\nx,1,y\n",
              {"train:1 DUPLICATE_COLUMN text"},
              "twice"},
        Fault{"FieldCount",
              "text,label\na,0\nb\nc,1,x\nd,1\n",
              {"train:3 FIELD_COUNT", "train:4 FIELD_COUNT"},
              "1 field where the header has 2"}),
    FaultName);

INSTANTIATE_TEST_SUITE_P(
    Lines, IngestFaultTest,
    testing::Values(
        Fault{"EmptyText",
              "text,label\na,0\n,1\n \t ,1\nb,1\n",
              {"train:3 TEXT_EMPTY text", "train:4 TEXT_EMPTY text"},
              "empty"},
        Fault{"NullText",
              "{\"text\":null,\"label\":1}\n{\"text\":\"b\",\"label\":2}\n",
              {"train:1 TEXT_EMPTY text"},
              "",
              "",
              "",
              "a.jsonl"},
        Fault{"EmptyPair",
              "text,pair,label\na,b,0\nc,,1\n,,1\nd,e,1\n",
              {"train:3 TEXT_EMPTY pair", "train:4 TEXT_EMPTY text"},
              "",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) {
                s.text_columns = {"text", "pair"};
              }},
        Fault{"MissingLabel",
              "text,label\na,0\n\"b\nb\",\nc, \nd,1\n",
              {"train:3 LABEL_MISSING label", "train:5 LABEL_MISSING label"},
              "missing"},
        Fault{"NullLabel",
              "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":null}\n{\"text\":\"c\","
              "\"label\":0}\n",
              {"train:2 LABEL_MISSING label"},
              "",
              "",
              "",
              "a.jsonl"},
        Fault{"MissingLabelInTest",
              kGood,
              {"test:3 LABEL_MISSING label"},
              "",
              "",
              "text,label\nx,0\ny,\n"},
        Fault{"BadUtf8", "text,label\na,0\ncaf\xE9,1\nb,1\n", {"train:3 BAD_UTF8 text"}, "0xE9"},
        Fault{"UnclosedQuote",
              "text,label\na,0\n\"b,1\nc,1\n",
              {"train:3 UNCLOSED_QUOTE text"},
              "never closed"},
        Fault{"BadQuote",
              "text,label\na,0\n\"b\" c,1\nd,1\n",
              {"train:3 BAD_QUOTE text"},
              "closing quote"},
        Fault{"BadJson",
              "{\"text\":\"a\",\"label\":1}\n{\"text\":\n{\"text\":\"c\",\"label\":0}\n",
              {"train:2 BAD_JSON"},
              "not valid JSON",
              "",
              "",
              "a.jsonl"},
        Fault{"WrongType",
              "{\"text\":\"a\",\"label\":1}\n{\"text\":[\"b\"],\"label\":0}\n",
              {"train:2 WRONG_TYPE text"},
              "an array",
              "",
              "",
              "a.jsonl"},
        Fault{"LongLabel",
              "text,label\na,0\nb," + std::string(257, 'x') + "\nc,1\n",
              {"train:3 LABEL_TOO_LONG label"},
              "257 bytes"},
        Fault{"LongRecord",
              "text,label\na,0\n" + std::string((16 << 20) + 1, 'x') + ",1\n",
              {"train:3 RECORD_TOO_LONG"},
              "16777216 bytes"}),
    FaultName);

std::string ManyLabels(int n) {
  std::string csv = "text,label\n";
  for (int i = 0; i < n; ++i) csv += "x" + std::to_string(i) + "," + std::to_string(i) + "\n";
  return csv;
}

std::string Uniform(int n) {
  std::string csv = "text,label\nrare,1\n";
  for (int i = 0; i < n; ++i) csv += "x" + std::to_string(i) + ",0\n";
  return csv + "x" + std::to_string(n) + ",2\n";
}

INSTANTIATE_TEST_SUITE_P(
    Labels, IngestFaultTest,
    testing::Values(
        Fault{"OneClass", "text,label\na,x\nb,x\n", {"train:0 ONE_CLASS label"}, "\"x\""},
        Fault{"NotInTrain",
              kGood,
              {"validation:3 LABEL_NOT_IN_TRAIN label", "test:2 LABEL_NOT_IN_TRAIN label"},
              "\"2\"",
              "text,label\nx,0\ny,2\nz,1\n",
              "text,label\nx,3\n"},
        Fault{"NotFixed",
              "text,label\na,0\nb,5\nc,1\n",
              {"train:3 UNKNOWN_LABEL label"},
              "\"5\"",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) {
                s.label_names = {"0", "1"};
              }},
        Fault{"TooMany", ManyLabels(10001), {"train:10002 TOO_MANY_LABELS label"}, "10000"},
        Fault{"LostByFraction",
              Uniform(2),
              {"validation_fraction:0 LABEL_LOST label"},
              "fell out of train",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) {
                s.validation_fraction = 0.5;
                s.seed = 3;
              }},
        Fault{"LostByMaxExamples",
              Uniform(100),
              {"max_examples:0 LABEL_LOST label", "max_examples:0 LABEL_LOST label"},
              "raise it",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) { s.max_examples = 5; }},
        Fault{"EmptyFraction",
              kGood,
              {"test_fraction:0 SPLIT_EMPTY"},
              "raise it",
              "",
              "",
              "a.csv",
              [](IngestSpec& s) { s.test_fraction = 0.1; }}),
    FaultName);

INSTANTIATE_TEST_SUITE_P(
    Several, IngestFaultTest,
    testing::Values(Fault{"InAllFiles",
                          "text,label\n,0\nb,1\nc,0\n",
                          {"train:2 TEXT_EMPTY text", "validation:2 LABEL_MISSING label",
                           "test:0 EMPTY_FILE"},
                          "",
                          "text,label\na,\n",
                          "\n"},
                    // The label of a line with an empty text counts as seen.
                    Fault{"LabelOfABadLineCounts",
                          "text,label\na,0\n,1\nb,2\n",
                          {"train:3 TEXT_EMPTY text"},
                          "",
                          "text,label\nx,1\n"},
                    // What train's unread lines hold is not known.
                    Fault{"BrokenOffTrainHidesNothing",
                          "text,label\na,0\n\"b,1\n",
                          {"train:3 UNCLOSED_QUOTE text", "test:3 TEXT_EMPTY text"},
                          "",
                          "",
                          "text,label\nx,1\n,0\n"}),
    FaultName);

TEST(IngestFaultsTest, TwentyAreListedAndTheRestCounted) {
  std::string csv = kGood;
  for (int i = 0; i < 33; ++i) csv += ",0\n";
  IngestSpec spec = CsvSpec(csv);
  spec.test = FileOf("t.csv", "text,label\n,0\n");

  const auto report = Ingest(spec, nullptr);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->errors.size(), 20U);
  EXPECT_EQ(report->errors.back().line, 23);
  EXPECT_EQ(report->omitted_errors, 14);
  EXPECT_EQ(report->splits.at(0).examples, 2);
  const Status status = ToStatus(*report);
  EXPECT_EQ(status.details().size(), 20U);
  EXPECT_THAT(status.message(),
              HasSubstr("the first of 34 faults in the data; 20 are listed, 14 more"));
}

/// A source may call its bytes faulty without a detail; that must not pass for the end.
TEST(IngestFaultsTest, AFaultySourceWithoutDetailIsAFault) {
  IngestSpec spec = CsvSpec("");
  spec.train = {"t.csv", []() -> StatusOr<std::unique_ptr<ByteSource>> {
                  return std::make_unique<FailingSource>(kGood, InvalidArgumentError("it is odd"));
                }};

  const auto report = Ingest(spec, nullptr);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->errors.at(0).reason, "UNREADABLE");
  EXPECT_EQ(report->errors.at(0).message, "it is odd");
}

}  // namespace
}  // namespace graft::datasets
