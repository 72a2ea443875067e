#include "common/datasets/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Result {
  Report report;
  IngestedDataset dataset;
};

/// Requires that the spec is good and the data usable.
Result MustIngest(const IngestSpec& spec) {
  Result result;
  auto report = Ingest(spec, &result.dataset);
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) result.report = *std::move(report);
  EXPECT_TRUE(result.report.usable()) << ToStatus(result.report);
  return result;
}

std::string Lines(int from, int to) {
  std::string csv = "text,label\n";
  for (int i = from; i < to; ++i)
    csv += "text " + std::to_string(i) + "," + std::to_string(i % 2) + "\n";
  return csv;
}

TEST(IngestTest, ReadsTextsAndLabels) {
  const auto [report, dataset] =
      MustIngest(CsvSpec("id,label,text\n1,pos,\"good, really\"\n2,neg,bad\n"));

  EXPECT_THAT(dataset.label_names, ElementsAre("neg", "pos"));
  EXPECT_THAT(dataset.train, ElementsAre(Example{"good, really", "", 1}, Example{"bad", "", 0}));
  EXPECT_FALSE(dataset.has_pair);
  ASSERT_EQ(report.splits.size(), 1U);
  EXPECT_EQ(report.splits[0].labels.at("pos"), 1);
}

TEST(IngestTest, ReadsPairs) {
  IngestSpec spec = CsvSpec("premise,hypothesis,label\nrain,wet,yes\nsun,wet,no\n");
  spec.text_columns = {"hypothesis", "premise"};

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_TRUE(dataset.has_pair);
  EXPECT_THAT(dataset.train, ElementsAre(Example{"wet", "rain", 1}, Example{"wet", "sun", 0}));
}

TEST(IngestTest, AllFormatsGiveTheSameDataset) {
  IngestSpec spec = CsvSpec("text,label\na b,1\nc,0\nd,10\n");
  const std::string expected = Serialize(MustIngest(spec).dataset);
  const std::string tsv = "label\ttext\r\n1\ta b\r\n0\tc\r\n10\td\r\n";
  const std::string jsonl =
      "{\"text\":\"a "
      "b\",\"label\":1}\n{\"text\":\"c\",\"label\":\"0\"}\n{\"label\":10.0,\"text\":\"d\"}\n";

  for (const SourceFile& file : {FileOf("a.tsv", tsv), FileOf("a.jsonl", jsonl),
                                 FileOf("a.tsv.gz", Gzip(tsv)), FileOf("a.jsonl.gz", Gzip(jsonl)),
                                 FileOf("a.csv", Gzip("text,label\na b,1\nc,0\nd,10\n"))}) {
    spec.train = file;
    EXPECT_EQ(Serialize(MustIngest(spec).dataset), expected) << file.name;
  }
}

TEST(IngestTest, HeaderlessColumnsHaveNumbers) {
  IngestSpec spec;
  spec.train = FileOf("sms.tsv", "ham\tOk lar\nspam\t\"Win\n");
  spec.text_columns = {"2"};
  spec.label_column = "1";
  spec.has_header = false;

  EXPECT_THAT(MustIngest(spec).dataset.train,
              ElementsAre(Example{"Ok lar", "", 0}, Example{"\"Win", "", 1}));
}

TEST(IngestTest, IntegerLabelsAreOrderedByValue) {
  const auto [report, dataset] = MustIngest(CsvSpec("text,label\na,10\nb,9\nc,-1\n"));

  EXPECT_THAT(dataset.label_names, ElementsAre("-1", "9", "10"));
  EXPECT_EQ(dataset.train[0].label, 2);
}

TEST(IngestTest, FixedLabelNamesKeepTheirOrder) {
  IngestSpec spec = CsvSpec("text,label\na,pos\nb,neg\n");
  spec.label_names = {"pos", "neutral", "neg"};

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_EQ(dataset.label_names, spec.label_names);
  EXPECT_EQ(dataset.train[1].label, 2);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("\"neutral\"")));
}

TEST(IngestTest, FixedLabelNamesAllowAHeldOutLabelThatTrainLacks) {
  IngestSpec spec = CsvSpec("text,label\na,pos\nb,neg\n");
  spec.validation = FileOf("v.csv", "text,label\nc,neutral\n");
  spec.label_names = {"pos", "neutral", "neg"};

  EXPECT_EQ(MustIngest(spec).dataset.validation.at(0).label, 1);
}

TEST(IngestTest, ReadsThreeFiles) {
  IngestSpec spec = CsvSpec("text,label\na,0\nb,1\n");
  spec.validation = FileOf("v.jsonl", "{\"text\":\"c\",\"label\":1}\n");
  spec.test = FileOf("t.tsv", "text\tlabel\nd\t0\ne\t0\n");

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_THAT(dataset.validation, ElementsAre(Example{"c", "", 1}));
  EXPECT_EQ(dataset.test.size(), 2U);
  EXPECT_EQ(report.Summary(), "2 train examples, 1 validation example, 2 test examples, 2 labels");
}

TEST(IngestTest, SplitsByFraction) {
  IngestSpec spec = CsvSpec(Lines(0, 200));
  spec.validation_fraction = 0.1;
  spec.test_fraction = 0.2;

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_EQ(dataset.train.size(), 140U);
  EXPECT_EQ(dataset.validation.size(), 20U);
  EXPECT_EQ(dataset.test.size(), 40U);
  EXPECT_EQ(report.splits.size(), 3U);
  EXPECT_EQ(Serialize(MustIngest(spec).dataset), Serialize(dataset));
  spec.seed = 43;
  EXPECT_NE(Serialize(MustIngest(spec).dataset), Serialize(dataset));
}

TEST(IngestTest, AFractionBesideAFile) {
  IngestSpec spec = CsvSpec(Lines(0, 100));
  spec.validation_fraction = 0.1;
  spec.test = FileOf("t.csv", Lines(100, 110));

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_EQ(dataset.train.size(), 90U);
  EXPECT_EQ(dataset.validation.size(), 10U);
  EXPECT_EQ(dataset.test.size(), 10U);
}

TEST(IngestTest, MaxExamplesIsADrawOfTrainAlone) {
  std::string sorted = "text,label\n";
  for (int i = 0; i < 200; ++i) sorted += "text " + std::to_string(i) + (i < 100 ? ",0\n" : ",1\n");
  IngestSpec spec = CsvSpec(sorted);
  spec.validation_fraction = 0.2;
  spec.max_examples = 50;

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_EQ(dataset.train.size(), 50U);
  EXPECT_EQ(dataset.validation.size(), 40U);
  EXPECT_GT(report.splits[0].labels.at("0"), 10);
  EXPECT_GT(report.splits[0].labels.at("1"), 10);
}

TEST(IngestTest, EvaluationDataMayHaveOneClass) {
  IngestSpec spec = CsvSpec("text,label\na,pos\nb,pos\n");
  spec.label_names = {"neg", "pos"};
  spec.allow_one_class = true;

  EXPECT_EQ(MustIngest(spec).dataset.train[0].label, 1);
}

TEST(IngestTest, UnlabelledDataNeedsNoLabelColumn) {
  IngestSpec spec = CsvSpec("text\na\nb\n");
  spec.label_column = "";

  const auto [report, dataset] = MustIngest(spec);

  EXPECT_THAT(dataset.train, ElementsAre(Example{"a", "", -1}, Example{"b", "", -1}));
  EXPECT_TRUE(dataset.label_names.empty());
  EXPECT_EQ(report.Summary(), "2 train examples");
}

TEST(IngestTest, OptionalLabelsMayBeEmptyOrAbsent) {
  IngestSpec spec = CsvSpec("text,label\na,\nb,x\n");
  spec.labels_optional = true;
  EXPECT_THAT(MustIngest(spec).dataset.train,
              ElementsAre(Example{"a", "", -1}, Example{"b", "", 0}));

  spec.train = FileOf("a.csv", "text\na\n");
  EXPECT_THAT(MustIngest(spec).dataset.train, ElementsAre(Example{"a", "", -1}));
}

TEST(IngestTest, WarnsOfWhatIsDoubtful) {
  IngestSpec spec = CsvSpec("text,label\na,0\nb,1\na,0\n");
  spec.test = FileOf("t.csv", "text,label\nb,1\n");

  EXPECT_THAT(MustIngest(spec).report.warnings,
              ElementsAre(HasSubstr("1 training example of 3 repeats"),
                          HasSubstr("1 test example of 1 is also")));
}

TEST(IngestTest, StoredFormComesBack) {
  IngestSpec spec = CsvSpec(Lines(0, 50) + "\"\n\t\"\"\",1\n");
  spec.test_fraction = 0.2;
  const IngestedDataset dataset = MustIngest(spec).dataset;

  EXPECT_EQ(*Parse(Serialize(dataset)), dataset);
}

TEST(IngestTest, TheSpecAndReportSurviveANullDataset) {
  const auto report = Ingest(CsvSpec("text,label\na,0\nb,1\n"), nullptr);

  EXPECT_TRUE(report->usable());
}

struct BadSpec {
  const char* name;
  std::string field;
  std::function<void(IngestSpec&)> change;
};

void PrintTo(const BadSpec& b, std::ostream* out) { *out << b.name; }

class IngestSpecTest : public testing::TestWithParam<BadSpec> {};

TEST_P(IngestSpecTest, IsRefusedWithItsField) {
  IngestSpec spec = CsvSpec("text,label\na,0\nb,1\n");
  GetParam().change(spec);
  IngestedDataset dataset;

  const auto report = Ingest(spec, &dataset);

  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.status().code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(report.status().details().size(), 1U);
  EXPECT_EQ(report.status().details()[0].field, GetParam().field);
  EXPECT_EQ(dataset, IngestedDataset());
}

const char kLabelNames[] = "task.sequence_classification.label_names";

INSTANTIATE_TEST_SUITE_P(
    All, IngestSpecTest,
    testing::Values(
        BadSpec{"NoTrain", "dataset.train", [](IngestSpec& s) { s.train = {}; }},
        BadSpec{"NoTextColumn", "dataset.text_columns", [](IngestSpec& s) { s.text_columns = {}; }},
        BadSpec{"ThreeTextColumns", "dataset.text_columns",
                [](IngestSpec& s) {
                  s.text_columns = {"a", "b", "c"};
                }},
        BadSpec{"EmptyTextColumn", "dataset.text_columns",
                [](IngestSpec& s) { s.text_columns = {""}; }},
        BadSpec{"TextColumnTwice", "dataset.text_columns",
                [](IngestSpec& s) {
                  s.text_columns = {"a", "a"};
                }},
        BadSpec{"LabelIsText", "dataset.label_column",
                [](IngestSpec& s) { s.label_column = "text"; }},
        BadSpec{"NegativeFraction", "dataset.validation_fraction",
                [](IngestSpec& s) { s.validation_fraction = -0.1; }},
        BadSpec{"WholeFraction", "dataset.test_fraction",
                [](IngestSpec& s) { s.test_fraction = 1.0; }},
        BadSpec{"NanFraction", "dataset.test_fraction",
                [](IngestSpec& s) { s.test_fraction = std::nan(""); }},
        BadSpec{"SumOfFractions", "dataset.validation_fraction",
                [](IngestSpec& s) { s.validation_fraction = s.test_fraction = 0.5; }},
        BadSpec{"FractionAndFile", "dataset.validation_fraction",
                [](IngestSpec& s) {
                  s.validation_fraction = 0.1;
                  s.validation = FileOf("v.csv", "");
                }},
        BadSpec{"NegativeMaxExamples", "dataset.max_examples",
                [](IngestSpec& s) { s.max_examples = -1; }},
        BadSpec{"OneLabelName", kLabelNames, [](IngestSpec& s) { s.label_names = {"a"}; }},
        BadSpec{"LabelNameTwice", kLabelNames,
                [](IngestSpec& s) {
                  s.label_names = {"a", "a"};
                }},
        BadSpec{"LabelNameEmpty", kLabelNames,
                [](IngestSpec& s) {
                  s.label_names = {"a", ""};
                }},
        BadSpec{"LabelNameNotUtf8", kLabelNames,
                [](IngestSpec& s) {
                  s.label_names = {"a", "\xFF"};
                }},
        BadSpec{"TooManyLabelNames", kLabelNames,
                [](IngestSpec& s) {
                  for (int i = 0; i <= 10000; ++i) s.label_names.push_back(std::to_string(i));
                }}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(IngestTest, PassesErrorsOfFilesOn) {
  IngestSpec spec = CsvSpec("text,label\na,0\nb,1\n");
  spec.test = {"t.csv", []() -> StatusOr<std::unique_ptr<ByteSource>> {
                 return NotFoundError("there is no file t.csv");
               }};
  EXPECT_EQ(Ingest(spec, nullptr).status(), NotFoundError("there is no file t.csv"));

  spec.test = {"t.csv", []() -> StatusOr<std::unique_ptr<ByteSource>> {
                 return std::make_unique<FailingSource>("text,label\na,0\n",
                                                        UnavailableError("away"));
               }};
  EXPECT_EQ(Ingest(spec, nullptr).status(), UnavailableError("away"));
}

}  // namespace
}  // namespace graft::datasets
