#include "common/datasets/jsonl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Case {
  const char* name;
  std::string text;
  std::vector<std::string> steps;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class JsonlTest : public testing::TestWithParam<Case> {};

TEST_P(JsonlTest, GivesTheStepsHoweverTheBytesCome) {
  const RecordOptions options = Wanting(Format::kJsonl, {"a", "b"});

  EXPECT_EQ(ReadRecords(GetParam().text, options).steps, GetParam().steps);
  EXPECT_EQ(ReadRecords(GetParam().text, options, 1).steps, GetParam().steps);
}

INSTANTIATE_TEST_SUITE_P(
    Lines, JsonlTest,
    testing::Values(
        Case{"Plain",
             "{\"a\":\"x\",\"b\":\"y\"}\n{\"b\":\"2\",\"a\":\"1\"}\n",
             {"1: x|y", "2: 1|2"}},
        Case{"NoLastLineEnd", "{\"a\":\"x\",\"b\":\"y\"}", {"1: x|y"}},
        Case{"CrLfBlankLinesAndMark",
             "\xEF\xBB\xBF\r\n \n{\"a\":\"x\",\"b\":\"y\"}\r\n\n{\"a\":\"1\",\"b\":\"2\"}\r\n\n",
             {"3: x|y", "5: 1|2"}},
        Case{"Empty", "", {}},
        Case{"MoreKeys", "{\"a\":\"x\",\"b\":\"y\",\"c\":[{}]}\n", {"1: x|y"}},
        Case{"Escapes",
             R"({"a":"\u00e4\n\ud83d\ude00","b":"\"\\"})",
             {"1: \xC3\xA4\n\xF0\x9F\x98\x80|\"\\"}},
        Case{"Numbers",
             "{\"a\":1,\"b\":-20}\n{\"a\":1.5,\"b\":3.0}\n{\"a\":1e2,\"b\":-0.0}\n",
             {"1: 1|-20", "2: 1.5|3", "3: 100|0"}},
        Case{"Booleans", "{\"a\":true,\"b\":false}\n", {"1: true|false"}},
        Case{"NullIsAbsent", "{\"a\":null,\"b\":\"\"}\n", {"1: <none>|"}},
        Case{"Large",
             "{\"a\":18446744073709551615,\"b\":1e300}",
             {"1: 18446744073709551615|1e+300"}},
        Case{"WrongType",
             "{\"a\":\"x\",\"b\":[1]}\n{\"a\":{},\"b\":1}\n{\"a\":1,\"b\":2}\n",
             {"1: !WRONG_TYPE@b", "2: !WRONG_TYPE@a", "3: 1|2"}},
        Case{"NoKeyLater",
             "{\"a\":1,\"b\":2}\n{\"a\":1}\n{\"a\":3,\"b\":4}\n",
             {"1: 1|2", "2: !COLUMN_MISSING@b", "3: 3|4"}},
        Case{"NoKeyFirst", "{\"a\":1}\n{\"a\":3,\"b\":4}\n", {"1: !COLUMN_MISSING@b"}},
        Case{"Broken",
             "{\"a\":1,\"b\":2}\n{\"a\":1,\n{\"a\":3,\"b\":4}\n",
             {"1: 1|2", "2: !BAD_JSON", "3: 3|4"}},
        Case{"TwoOnALine", "{\"a\":1,\"b\":2}{\"a\":1,\"b\":2}\n", {"1: !BAD_JSON"}},
        Case{"NoObject",
             "{\"a\":1,\"b\":2}\n[1,2]\n3\n",
             {"1: 1|2", "2: !BAD_JSON", "3: !BAD_JSON"}},
        Case{"JsonArrayFile",
             "[\n{\"a\":1,\"b\":2},\n{\"a\":1,\n\"b\":2}\n]\n",
             {"2: 1|2", "3: 1|2"}},
        Case{"JsonArrayAndMore", "[{\"a\":1,\"b\":2}] {}\n", {"1: 1|2", "1: !BAD_JSON"}},
        Case{"JsonArrayWithAFault",
             "[{\"a\":1,\"b\":2},\n7,{\"a\":3,\"b\":\"]}\\\"\"}]",
             {"1: 1|2", "2: !BAD_JSON", "2: 3|]}\""}},
        Case{"CommasBehindObjects",
             "{\"a\":1,\"b\":2},\n{\"a\":3,\"b\":4} ,\n",
             {"1: 1|2", "2: 3|4"}},
        Case{"KeyTwice", "{\"a\":1,\"a\":2,\"b\":3}\n", {"1: !BAD_JSON"}},
        Case{
            "BadUtf8", "{\"a\":\"\xE9\",\"b\":2}\n{\"a\":1,\"b\":2}\n", {"1: !BAD_UTF8", "2: 1|2"}},
        Case{"LoneSurrogate", R"({"a":"\ud83d","b":2})", {"1: !BAD_JSON"}},
        Case{"Infinite", "{\"a\":1e999,\"b\":2}\n", {"1: !BAD_JSON"}},
        Case{"NaN", "{\"a\":NaN,\"b\":2}\n", {"1: !BAD_JSON"}}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(JsonlReaderTest, MissingColumnListsThoseThereAre) {
  const ReadOut out =
      ReadRecords("{\"review\":\"x\",\"stars\":3}\n", Wanting(Format::kJsonl, {"text"}));

  EXPECT_THAT(out.faults.at(0).message, HasSubstr("\"review\", \"stars\""));
  EXPECT_TRUE(out.broke_off);
}

TEST(JsonlReaderTest, LongLinesAreSkippedNotKept) {
  RecordOptions options = Wanting(Format::kJsonl, {"a"});
  options.max_record_bytes = 100;
  const std::string over = "{\"a\":\"" + std::string(5000, 'x') + "\"}\n";

  const ReadOut out = ReadRecords("{\"a\":1}\n" + over + "{\"a\":2}\n" + over, options);

  EXPECT_THAT(out.steps, ElementsAre("1: 1", "2: !RECORD_TOO_LONG", "3: 2", "4: !RECORD_TOO_LONG"));
  EXPECT_FALSE(out.broke_off);
}

TEST(JsonlReaderTest, DepthHasALimit) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');

  EXPECT_THAT(ReadRecords("{\"a\":1,\"b\":" + deep + "}\n", Wanting(Format::kJsonl, {"a"})).steps,
              ElementsAre("1: !BAD_JSON"));
}

TEST(JsonlReaderTest, OptionalColumnMayBeAbsent) {
  RecordOptions options = Wanting(Format::kJsonl, {"a"});
  options.columns.push_back({"b", false});

  EXPECT_THAT(ReadRecords("{\"a\":1}\n{\"a\":1,\"b\":2}\n", options).steps,
              ElementsAre("1: 1|<none>", "2: 1|2"));
}

TEST(JsonlReaderTest, PassesTheSourcesErrorOn) {
  const ReadOut out =
      ReadRecords(std::make_unique<FailingSource>("{\"a\":1}\n{\"a\":", UnavailableError("away")),
                  Wanting(Format::kJsonl, {"a"}));

  EXPECT_THAT(out.steps, ElementsAre("1: 1"));
  EXPECT_EQ(out.status.code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace graft::datasets
