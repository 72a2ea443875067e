/// Random damage to good input, the same on every run. What is claimed: no crash (run it under the
/// asan preset), no endless reading, and what each parser promises of whatever it accepts.

#include <gtest/gtest.h>

#include "common/base/utf8.h"
#include "common/datasets/ingest.h"
#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

constexpr int kRounds = 3000;

/// Records and faults are in order of lines, texts are UTF-8, and piecewise reading changes
/// nothing.
void CheckReader(const std::string& bytes, RecordOptions options, size_t piece) {
  options.max_record_bytes = 4096;
  const ReadOut whole = ReadRecords(bytes, options);
  const ReadOut pieces = ReadRecords(bytes, options, piece);

  EXPECT_TRUE(whole.status.ok()) << whole.status;
  EXPECT_EQ(whole.steps, pieces.steps);
  EXPECT_EQ(whole.faults, pieces.faults);
  EXPECT_LE(whole.steps.size(), bytes.size() + 1);
  for (const std::string& step : whole.steps) {
    EXPECT_EQ(FirstInvalidUtf8(step), std::string::npos);
  }
  for (const ErrorDetail& fault : whole.faults) {
    EXPECT_EQ(FirstInvalidUtf8(fault.message + fault.column), std::string::npos);
    EXPECT_FALSE(fault.reason.empty());
  }
}

TEST(FuzzTest, Csv) {
  const std::string good =
      "text,label\r\n\"a \"\"b\"\",\nc\",0\r\nplain,1\n\n\"\",2\nx\xC3\xA4y,\"3\"\n\"last\",4";
  PhiloxSequence random(1, RandomStream::kProbe);
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string bytes = Mutate(good, random);
    SCOPED_TRACE(bytes);
    CheckReader(bytes, Wanting(Format::kCsv, {"text", "label"}), 1 + random.NextBelow(9));
  }
}

TEST(FuzzTest, Tsv) {
  const std::string good =
      "text\tlabel\r\n\"a "
      "\"\"b\"\"\nc\"\t0\r\npla\"in\t1\n\n\"open\t2\nx\xC3\xA4y\t\"3\"\n\"last\t4";
  PhiloxSequence random(2, RandomStream::kProbe);
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string bytes = Mutate(good, random);
    SCOPED_TRACE(bytes);
    RecordOptions options = Wanting(Format::kTsv, {"1", "2"});
    options.has_header = false;
    CheckReader(bytes, options, 1 + random.NextBelow(9));
  }
}

TEST(FuzzTest, Jsonl) {
  const std::string good =
      "{\"text\":\"a \\\"b\\\"\\n\\u00e4\",\"label\":0}\n{\"label\":1.5,\"text\":\"c\"}\r\n\n"
      "{\"text\":\"\",\"label\":null,\"more\":[1,{\"x\":[]}]}\n{\"text\":true,\"label\":\"x\"}";
  PhiloxSequence random(3, RandomStream::kProbe);
  for (int i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
    const std::string bytes = Mutate(good, random);
    SCOPED_TRACE(bytes);
    CheckReader(bytes, Wanting(Format::kJsonl, {"text", "label"}), 1 + random.NextBelow(9));
  }
}

TEST(FuzzTest, Gzip) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "text " + std::to_string(i * i) + ",label\n";
  const std::string good = Gzip(text) + Gzip("tail");
  PhiloxSequence random(4, RandomStream::kProbe);
  int refused = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string bytes = Mutate(good, random);

    const auto result =
        ReadAll(*Gunzip(std::make_unique<PiecewiseSource>(bytes, 1 + random.NextBelow(99)), "a.gz",
                        {.max_bytes = 1 << 20}),
                1 + random.NextBelow(999));

    if (result.ok()) {
      EXPECT_LE(result->size(), size_t{1} << 20);
      continue;
    }
    ++refused;
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(result.status().details().size(), 1U);
  }
  EXPECT_GT(refused, kRounds / 2);
}

TEST(FuzzTest, StoredForm) {
  IngestedDataset dataset;
  dataset.label_names = {"a", "\xC3\xA4\""};
  dataset.has_pair = true;
  dataset.train = {{"one\n\x01", "two", 0}, {"\\", "\"", 1}};
  dataset.validation = {{"three", "", -1}};
  const std::string good = Serialize(dataset);
  PhiloxSequence random(5, RandomStream::kProbe);
  for (int i = 0; i < kRounds; ++i) {
    const std::string bytes = Mutate(good, random);

    const auto parsed = Parse(bytes);

    if (parsed.ok()) {
      EXPECT_EQ(Serialize(*parsed), bytes);
    } else {
      EXPECT_EQ(parsed.status().code(), StatusCode::kDataLoss);
      EXPECT_EQ(FirstInvalidUtf8(parsed.status().message()), std::string::npos);
    }
  }
}

TEST(FuzzTest, Ingest) {
  const std::string csv = "text,label\n\"a,b\",0\nc,1\n\"d\"\"\",0\ne,1\nf,0\ng,1\nc,1\n";
  PhiloxSequence random(6, RandomStream::kProbe);
  int usable = 0;
  for (int i = 0; i < kRounds; ++i) {
    IngestSpec spec = CsvSpec(Mutate(csv, random));
    if (random.NextBelow(2) == 0) spec.test = FileOf("t.csv", Mutate(csv, random));
    if (random.NextBelow(2) == 0) spec.validation_fraction = 0.3;
    IngestedDataset dataset;

    const auto report = Ingest(spec, &dataset);

    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(FirstInvalidUtf8(report->Summary()), std::string::npos);
    for (const std::string& warning : report->warnings) {
      EXPECT_EQ(FirstInvalidUtf8(warning), std::string::npos);
    }
    if (!report->usable()) continue;
    ++usable;
    EXPECT_GE(dataset.label_names.size(), 2U);
    EXPECT_EQ(*Parse(Serialize(dataset)), dataset);
  }
  EXPECT_GT(usable, kRounds / 50);
  EXPECT_LT(usable, kRounds);
}

}  // namespace
}  // namespace graft::datasets
