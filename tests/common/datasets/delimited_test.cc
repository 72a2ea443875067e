#include "common/datasets/delimited.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Steps = std::vector<std::string>;

struct Case {
  const char* name;
  std::string text;
  Steps steps;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

class CsvTest : public testing::TestWithParam<Case> {};

TEST_P(CsvTest, GivesTheStepsHoweverTheBytesCome) {
  const RecordOptions options = Wanting(Format::kCsv, {"a", "b"});

  EXPECT_EQ(ReadRecords(GetParam().text, options).steps, GetParam().steps);
  EXPECT_EQ(ReadRecords(GetParam().text, options, 1).steps, GetParam().steps);
}

INSTANTIATE_TEST_SUITE_P(
    Rfc4180, CsvTest,
    testing::Values(
        Case{"Plain", "a,b\n1,2\n3,4\n", {"2: 1|2", "3: 3|4"}},
        Case{"NoLastLineEnd", "a,b\n1,2", {"2: 1|2"}},
        Case{"CrLf", "a,b\r\n1,2\r\n3,4\r\n", {"2: 1|2", "3: 3|4"}},
        Case{"CrAtTheVeryEnd", "a,b\r\n1,2\r", {"2: 1|2"}},
        Case{"ByteOrderMark",
             "\xEF\xBB\xBF"
             "a,b\n1,2\n",
             {"2: 1|2"}},
        Case{"ByteOrderMarkBeforeQuote", "\xEF\xBB\xBF\"a\",b\n1,2\n", {"2: 1|2"}},
        Case{"QuotedComma", "a,b\n\"1,5\",2\n", {"2: 1,5|2"}},
        Case{"QuotedNewline", "a,b\n\"1\n\n5\",2\n3,4\n", {"2: 1\n\n5|2", "5: 3|4"}},
        Case{"QuotedCrLf", "a,b\r\n\"1\r\n5\",2\r\n3,4\r\n", {"2: 1\r\n5|2", "4: 3|4"}},
        Case{"DoubledQuote", "a,b\n\"say \"\"hi\"\"\",2\n", {"2: say \"hi\"|2"}},
        Case{"OnlyQuotes", "a,b\n\"\"\"\",\"\"\n", {"2: \"|"}},
        Case{"QuotedLast", "a,b\n1,\"2\"\n3,\"4\"", {"2: 1|2", "3: 3|4"}},
        Case{"QuotedHeader", "\"a\",\"b\"\n1,2\n", {"2: 1|2"}},
        Case{"HeaderOverLines", "a,b,\"c\nd\"\n1,2,3\n", {"3: 1|2"}},
        Case{"EmptyFields", "a,b\n,x\ny,\n", {"2: |x", "3: y|"}},
        Case{"EmptyRows", "a,b\n1,2\n,\n \n3,4\n,\n", {"2: 1|2", "5: 3|4"}},
        Case{"SpacesAreData", "a,b\n 1 , 2 \n", {"2:  1 | 2 "}},
        Case{"StrayQuoteInside", "a,b\n5\" disk,x\"y\"\n", {"2: 5\" disk|x\"y\""}},
        Case{"SpaceBeforeAQuotedField", "a,b\n \"1,\",2\n", {"2: 1,|2"}},
        Case{"SpaceBeforeAQuoteInside", "a,b\n \"1\" x,2\n", {"2:  \"1\" x|2"}},
        Case{"SpaceBehindAQuotedField", "a,b\n\"1\" ,\"2\" \n", {"2: 1|2"}},
        Case{"SpacesByTheHeader", "a, b\n1, \"2\"\n3,  4 5\n", {"2: 1|2", "3: 3|4 5"}},
        Case{"BareCrIsData", "a,b\n1\r5,2\n", {"2: 1\r5|2"}},
        Case{"BlankLines", "\n\na,b\n\n1,2\n\r\n\n3,4\n\n", {"5: 1|2", "8: 3|4"}},
        Case{"OrderAndMore", "c,b,a\nx,2,1\n", {"2: 1|2"}},
        Case{"NamelessColumns", ",a,b,\n0,1,2,9\n", {"2: 1|2"}},
        Case{"NamelessColumnsMayBeAbsent", "a,b,\n1,2\n3,4,\n", {"2: 1|2", "3: 3|4"}},
        Case{"ZeroByte", std::string("a,b\n1\0,2\n", 9), {"2: !ZERO_BYTE@a"}},
        Case{"Umlauts", "a,b\n\xC3\xA4,\xF0\x9F\x98\x80\n", {"2: \xC3\xA4|\xF0\x9F\x98\x80"}}),
    CaseName);

INSTANTIATE_TEST_SUITE_P(
    Faults, CsvTest,
    testing::Values(
        Case{"Empty", "", {"0: !EMPTY_FILE"}}, Case{"OnlyBlank", "\n\r\n", {"0: !EMPTY_FILE"}},
        Case{"HeaderAlone", "a,b\n", {}},
        Case{"TooFewFields", "a,b\n1\n3,4\n", {"2: !FIELD_COUNT", "3: 3|4"}},
        Case{"TooManyFields", "a,b\n1,2,3\n3,4\n", {"2: !FIELD_COUNT", "3: 3|4"}},
        Case{"OneFieldMore", "a,b\n1,2,x\n3,4\n", {"2: !FIELD_COUNT", "3: 3|4"}},
        Case{"NoSuchColumn", "a,c\n1,2\n", {"1: !COLUMN_MISSING@b"}},
        Case{"TwiceTheColumn", "a,b,a\n1,2,3\n", {"1: !DUPLICATE_COLUMN@a"}},
        Case{"TwiceAnotherColumn", "a,b,c,c\n1,2,3,4\n", {"1: !DUPLICATE_COLUMN@c"}},
        Case{"NeverClosed", "a,b\n1,2\n3,\"4\n5,6\n", {"2: 1|2", "3: !UNCLOSED_QUOTE@b"}},
        Case{"NeverClosedBehindLines", "a,b\n\"1\n1\",\"4\n5,6\n", {"3: !UNCLOSED_QUOTE@b"}},
        Case{"NeverClosedInHeader", "a,\"b\n1,2\n", {"1: !UNCLOSED_QUOTE"}},
        Case{"EndsInAQuote", "a,b\n1,\"", {"2: !UNCLOSED_QUOTE@b"}},
        Case{"TextBehindQuote", "a,b\n\"1\"x,2\n3,4\n", {"2: !BAD_QUOTE@a", "3: 3|4"}},
        Case{"TextBehindQuoteAndSpace", "a,b\n1,\"2\" x\n3,4\n", {"2: !BAD_QUOTE@b", "3: 3|4"}},
        Case{"BadQuoteOnLaterLine", "a,b\n\"1\n\"x,2\n3,4\n", {"3: !BAD_QUOTE@a", "4: 3|4"}},
        Case{"BadUtf8", "a,b\n1,\xE9\n3,4\n", {"2: !BAD_UTF8@b", "3: 3|4"}},
        Case{"BadUtf8InHeader", "a,b,\xE9\n1,2,3\n", {"1: !BAD_UTF8"}}),
    CaseName);

class TsvTest : public testing::TestWithParam<Case> {};

TEST_P(TsvTest, GivesTheStepsHoweverTheBytesCome) {
  const RecordOptions options = Wanting(Format::kTsv, {"a", "b"});

  EXPECT_EQ(ReadRecords(GetParam().text, options).steps, GetParam().steps);
  EXPECT_EQ(ReadRecords(GetParam().text, options, 1).steps, GetParam().steps);
}

INSTANTIATE_TEST_SUITE_P(
    Both, TsvTest,
    testing::Values(
        Case{"Plain", "a\tb\n1\t2\n3,5\t4\r\n", {"2: 1|2", "3: 3,5|4"}},
        Case{"StrayQuoteInside", "a\tb\n5\" disk\tx \"y\" z\n", {"2: 5\" disk|x \"y\" z"}},
        Case{"OpenedNeverClosed",
             "a\tb\n\"Oh\t2\n3\t\"4\n5\t6\n",
             {"2: \"Oh|2", "3: 3|\"4", "4: 5|6"}},
        Case{"ClosedTooEarly", "a\tb\n\"Oh\" he said\t2\n", {"2: \"Oh\" he said|2"}},
        Case{"ClosedBehindATab", "a\tb\n\"1\t2\"\n", {"2: \"1|2\""}},
        Case{"Quoted", "a\tb\n\"1\"\t\"say \"\"hi\"\"\"\n", {"2: 1|say \"hi\""}},
        Case{"QuotedNewline", "a\tb\n\"1\n5\"\t2\n3\t4\n", {"2: 1\n5|2", "4: 3|4"}},
        Case{"QuotedAtEnd", "a\tb\n1\t\"2\"", {"2: 1|2"}},
        Case{"QuoteAlone", "a\tb\n\"\t2\n", {"2: \"|2"}},
        Case{"EmptyQuotes", "a\tb\n\"\"\t2\n", {"2: |2"}},
        Case{"QuoteThenEnd", "a\tb\n1\t\"", {"2: 1|\""}},
        Case{"TooManyFields", "a\tb\n1\t2\t3\n", {"2: !FIELD_COUNT"}}),
    CaseName);

TEST(DelimitedTest, NamesColumnsByNumberWithoutAHeader) {
  RecordOptions options = Wanting(Format::kTsv, {"2", "1"});
  options.has_header = false;

  EXPECT_THAT(ReadRecords("ham\tOk\nspam\tWin\n", options).steps,
              ElementsAre("1: Ok|ham", "2: Win|spam"));
}

TEST(DelimitedTest, MissingColumnListsThoseThereAre) {
  const ReadOut out = ReadRecords("review,sentiment\nx,1\n", Wanting(Format::kCsv, {"text"}));

  ASSERT_EQ(out.faults.size(), 1U);
  EXPECT_THAT(out.faults[0].message, HasSubstr("no column \"text\""));
  EXPECT_THAT(out.faults[0].message, HasSubstr("\"review\", \"sentiment\""));
  EXPECT_THAT(out.faults[0].message, HasSubstr("has_header=false"));
  EXPECT_TRUE(out.broke_off);
}

TEST(DelimitedTest, MissingColumnWithoutHeaderSaysSo) {
  RecordOptions options = Wanting(Format::kCsv, {"text"});
  options.has_header = false;

  EXPECT_THAT(ReadRecords("x,1\n", options).faults.at(0).message, HasSubstr("named by number"));
}

TEST(DelimitedTest, OldMacLineEndsAreRead) {
  EXPECT_THAT(ReadRecords("text,label\rx,1\ry,2\r", Wanting(Format::kCsv, {"label"})).steps,
              ElementsAre("2: 1", "3: 2"));
}

TEST(DelimitedTest, Utf16IsRead) {
  EXPECT_THAT(
      ReadRecords(std::string("\xFF\xFEt\0\n\0x\0\n\0", 10), Wanting(Format::kCsv, {"t"})).steps,
      ElementsAre("2: x"));
}

TEST(DelimitedTest, TheWantedColumnsTellTheDelimiter) {
  for (const char* text : {"a;b\n1,5;2\n", "a|b\n1,5|2\n", "a\tb\n1,5\t2\n"})
    EXPECT_THAT(ReadRecords(text, Wanting(Format::kCsv, {"b", "a"})).steps,
                ElementsAre("2: 2|1,5"));
  EXPECT_THAT(ReadRecords("a,b;c\n1,2;3\n", Wanting(Format::kCsv, {"a"})).steps,
              ElementsAre("2: 1"))
      << "the format's own where it finds them";
}

TEST(DelimitedTest, OptionalColumnMayBeAbsent) {
  RecordOptions options = Wanting(Format::kCsv, {"a"});
  options.columns.push_back({"b", false});

  EXPECT_THAT(ReadRecords("a\n1\n", options).steps, ElementsAre("2: 1|<none>"));
  EXPECT_THAT(ReadRecords("a,b\n1,\n", options).steps, ElementsAre("2: 1|"));
}

TEST(DelimitedTest, RecordsHaveALimit) {
  RecordOptions options = Wanting(Format::kCsv, {"a", "b"});
  options.max_record_bytes = 1000;
  const std::string near(990, 'x');
  const std::string over(1100, 'x');

  EXPECT_EQ(ReadRecords("a,b\n1," + near + "\n", options).steps.at(0), "2: 1|" + near);
  const ReadOut plain = ReadRecords("a,b\n1,2\n3," + over + "\n5,6\n", options);
  EXPECT_THAT(plain.steps, ElementsAre("2: 1|2", "3: !RECORD_TOO_LONG"));
  EXPECT_TRUE(plain.broke_off);
  const ReadOut quoted = ReadRecords("a,b\n1,2\n3,\"" + over + "\"\n5,6\n", options);
  EXPECT_THAT(quoted.steps, ElementsAre("2: 1|2", "3: !RECORD_TOO_LONG"));
  EXPECT_THAT(quoted.faults.at(0).message, HasSubstr("never closed"));
}

TEST(DelimitedTest, ManyFieldsAreAFaultNotMemory) {
  const std::string commas(1 << 20, ',');

  EXPECT_THAT(ReadRecords(commas + "\n1,2\n", Wanting(Format::kCsv, {"a"})).steps,
              ElementsAre("1: !TOO_MANY_COLUMNS"));
  EXPECT_THAT(ReadRecords("a,b\n" + commas + "\n1,2\n", Wanting(Format::kCsv, {"a"})).steps,
              ElementsAre("2: !FIELD_COUNT", "3: 1"));
}

TEST(DelimitedTest, PassesTheSourcesErrorOnAfterWholeRecords) {
  for (const char* text : {"a,b\n1,2\n3,", "a,b\n1,2\n3,\"4", "a,b\n1,2\n"}) {
    const ReadOut out = ReadRecords(std::make_unique<FailingSource>(text, UnavailableError("away")),
                                    Wanting(Format::kCsv, {"a", "b"}));

    EXPECT_EQ(out.status.code(), StatusCode::kUnavailable) << text;
    EXPECT_THAT(out.faults, testing::IsEmpty()) << text;
  }
}

/// A cut of good CSV reads as some first records, and at most one fault for the last.
TEST(DelimitedTest, EveryCutGivesWholeRecordsThenAtMostOneOddOne) {
  const std::string text = "a,b\r\n\"1\n,\"\"x\"\"\",2\r\n3,\"4\"\r\n\n5,\xC3\xA4\n7,8";
  const Steps whole = ReadRecords(text, Wanting(Format::kCsv, {"a", "b"})).steps;
  ASSERT_EQ(whole.size(), 4U);
  for (size_t cut = 0; cut < text.size(); ++cut) {
    const ReadOut out = ReadRecords(text.substr(0, cut), Wanting(Format::kCsv, {"a", "b"}));

    EXPECT_TRUE(out.status.ok());
    size_t same = 0;
    while (same < out.steps.size() && out.steps[same] == whole[same]) ++same;
    EXPECT_LE(out.steps.size() - same, 1U) << cut;
  }
}

}  // namespace
}  // namespace graft::datasets
