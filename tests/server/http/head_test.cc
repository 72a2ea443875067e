#include "server/http/head.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

using Result = Scan::Result;

bool IsNear(size_t size, size_t limit) { return size + 16 > limit && size < limit + 16; }

/// What a connection sees whose bytes come one by one: the first verdict. Far from any limit a long
/// head takes larger steps.
Scan ScanByteByByte(const std::string& bytes) {
  size_t size = 0;
  while (size < bytes.size()) {
    Scan scan = ScanHead(std::string_view(bytes).substr(0, size));
    if (scan.result != Result::kMore) return scan;
    const bool is_close = size < 200 || IsNear(size, kMaxTargetBytes) ||
                          IsNear(size, kMaxHeadBytes) || IsNear(size, bytes.size());
    size += is_close ? 1 : 13;
  }
  return ScanHead(bytes);
}

struct ScanRow {
  const char* name;
  std::string bytes;
  Result result;
  int status = 0;  ///< Of kRefused.
};
void PrintTo(const ScanRow& row, std::ostream* out) { *out << row.name; }

/// A head whose first line has `bytes` before its CR.
std::string WithLine(size_t bytes, const std::string& rest) {
  return "GET /" + std::string(bytes - 5, 'a') + rest;
}

/// A head of that many bytes.
std::string OfSize(size_t bytes) {
  const std::string front = "GET / HTTP/1.1\r\nX: ";
  return front + std::string(bytes - front.size() - 4, 'x') + "\r\n\r\n";
}

std::vector<ScanRow> ScanRows() {
  const std::string nul(1, '\0');
  return {
      {"Nothing", "", Result::kMore},
      {"HalfALine", "GET / HT", Result::kMore},
      {"ALineWithoutItsEnd", "GET / HTTP/1.1\r", Result::kMore},
      {"WithoutTheEmptyLine", "GET / HTTP/1.1\r\nHost: a\r\n", Result::kMore},
      {"HalfOfTheEmptyLine", "GET / HTTP/1.1\r\nHost: a\r\n\r", Result::kMore},
      {"Whole", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Result::kWhole},
      {"WithoutFields", "GET / HTTP/1.1\r\n\r\n", Result::kWhole},
      {"WithABody", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\nbody", Result::kWhole},
      {"BehindAnEmptyLine", "\r\nGET / HTTP/1.1\r\n\r\n", Result::kWhole},
      {"EmptyLineAlone", "\r\n", Result::kMore},
      {"TwoEmptyLines", "\r\n\r\n", Result::kRefused, 400},
      {"LineFeedAlone", "GET / HTTP/1.1\nHost: a\r\n\r\n", Result::kRefused, 400},
      {"LineFeedAtOnce", "\n", Result::kRefused, 400},
      {"CarriageReturnAlone", "GET / HTTP/1.1\rHost: a\r\n\r\n", Result::kRefused, 400},
      {"CarriageReturnTwice", "GET / HTTP/1.1\r\r\n\r\n", Result::kRefused, 400},
      {"FoldedField", "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Result::kRefused, 400},
      {"FoldedByTab", "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", Result::kRefused, 400},
      {"FoldedEmptyLine", "GET / HTTP/1.1\r\n \r\n\r\n", Result::kRefused, 400},
      {"TabInAValue", "GET / HTTP/1.1\r\nX: a\tb\r\n\r\n", Result::kWhole},
      {"Latin1InAValue", "GET / HTTP/1.1\r\nX: \xe9\r\n\r\n", Result::kWhole},
      {"NulInAValue", "GET / HTTP/1.1\r\nX: " + nul + "\r\n\r\n", Result::kRefused, 400},
      {"EscapeInAValue", "GET / HTTP/1.1\r\nX: \x1b[0m\r\n\r\n", Result::kRefused, 400},
      {"DeleteInAValue", "GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", Result::kRefused, 400},
      {"LongestLine", WithLine(kMaxTargetBytes, "\r\n\r\n"), Result::kWhole},
      {"LongestLineGoesOn", WithLine(kMaxTargetBytes, ""), Result::kMore},
      {"LongestLineHalfEnded", WithLine(kMaxTargetBytes, "\r"), Result::kMore},
      {"LineTooLong", WithLine(kMaxTargetBytes + 1, "\r\n\r\n"), Result::kRefused, 414},
      {"LineTooLongSoFar", WithLine(kMaxTargetBytes + 1, ""), Result::kRefused, 414},
      {"LineTooLongWithAControl", WithLine(kMaxTargetBytes + 9, "\x01"), Result::kRefused, 414},
      {"ControlAtTheLimit", WithLine(kMaxTargetBytes, "\x01"), Result::kRefused, 400},
      {"LargestHead", OfSize(kMaxHeadBytes), Result::kWhole},
      {"LargestBehindAnEmptyLine", "\r\n" + OfSize(kMaxHeadBytes), Result::kWhole},
      {"LargestWithABody", OfSize(kMaxHeadBytes) + std::string(99, 'b'), Result::kWhole},
      {"TooLarge", OfSize(kMaxHeadBytes + 1), Result::kRefused, 431},
      {"TooLargeSoFar", OfSize(kMaxHeadBytes + 5).substr(0, kMaxHeadBytes), Result::kRefused, 431},
      {"TooLargeWithAControl", OfSize(kMaxHeadBytes + 9).substr(0, kMaxHeadBytes) + "\x01",
       Result::kRefused, 431},
      {"TooLargeAndFolded", OfSize(kMaxHeadBytes + 2).substr(0, kMaxHeadBytes) + " x",
       Result::kRefused, 431},
  };
}

class ScanHeadTest : public ::testing::TestWithParam<ScanRow> {};

TEST_P(ScanHeadTest, TellsWhatTheBytesAre) {
  const Scan scan = ScanHead(GetParam().bytes);

  EXPECT_EQ(scan.result, GetParam().result) << scan.refusal.message;
  if (scan.result == Result::kRefused) {
    EXPECT_EQ(scan.refusal.status, GetParam().status) << scan.refusal.message;
  }
}

TEST_P(ScanHeadTest, TellsTheSameOfBytesOneByOne) {
  const Scan at_once = ScanHead(GetParam().bytes);

  const Scan scan = ScanByteByByte(GetParam().bytes);

  EXPECT_EQ(scan.result, at_once.result) << scan.refusal.message;
  EXPECT_EQ(scan.skip + scan.size, at_once.skip + at_once.size);
  EXPECT_EQ(scan.refusal.message, at_once.refusal.message);
}

INSTANTIATE_TEST_SUITE_P(Rows, ScanHeadTest, ::testing::ValuesIn(ScanRows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(ScanHeadSizeTest, AWholeHeadEndsBehindItsEmptyLine) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

  const Scan scan = ScanHead("\r\n" + head + "GET /next HTTP/1.1\r\n\r\n");

  EXPECT_EQ(scan.skip, 2U);
  EXPECT_EQ(scan.size, head.size());
}

struct HeadRow {
  const char* name;
  Head head;
  int status;  ///< 0: it is fine.
};
void PrintTo(const HeadRow& row, std::ostream* out) { *out << row.name; }

using Fields = std::vector<std::pair<std::string, std::string>>;

/// A GET of "/" with a Host and these.
Head With(Fields fields, int version = 11) {
  fields.insert(fields.begin(), {"Host", "localhost"});
  return {"GET", "/", version, std::move(fields)};
}

Head WithTarget(std::string target) { return {"GET", std::move(target), 11, {{"Host", "a"}}}; }

std::vector<HeadRow> HeadRows() {
  const std::string websocket = "websocket";
  return {
      {"Plain", With({}), 0},
      {"Http10", With({}, 10), 0},
      {"Http12", With({}, 12), 505},
      {"Http2", With({}, 20), 505},
      {"NoHost", {"GET", "/", 11, {}}, 400},
      {"TwoHosts", With({{"hOST", "localhost"}}), 400},
      {"MostFields", With(Fields(kMaxFields - 1, {"X", "y"})), 0},
      {"TooManyFields", With(Fields(kMaxFields, {"X", "y"})), 431},
      {"EmptyTarget", WithTarget(""), 400},
      {"Star", WithTarget("*"), 400},
      {"AbsoluteTarget", WithTarget("http://localhost/"), 400},
      {"Length", With({{"Content-Length", "17"}}), 0},
      {"LengthZero", With({{"Content-Length", "0"}}), 0},
      {"LengthWithZeros", With({{"Content-Length", "0017"}}), 0},
      {"LongestLength", With({{"Content-Length", std::string(18, '9')}}), 0},
      {"LengthTooLong", With({{"Content-Length", std::string(19, '1')}}), 400},
      {"EmptyLength", With({{"Content-Length", ""}}), 400},
      {"LengthWithSign", With({{"Content-Length", "+1"}}), 400},
      {"LengthInHex", With({{"Content-Length", "0x1"}}), 400},
      {"LengthList", With({{"Content-Length", "1, 1"}}), 400},
      {"LengthInOtherDigits", With({{"Content-Length", "\xd9\xa1"}}), 400},
      {"TwoLengths", With({{"Content-Length", "1"}, {"content-length", "1"}}), 400},
      {"Chunked", With({{"Transfer-Encoding", "chunked"}}), 0},
      {"ChunkedInOtherCase", With({{"transfer-encoding", "CHUNKED"}}), 0},
      {"ChunkedInHttp10", With({{"Transfer-Encoding", "chunked"}}, 10), 400},
      {"EmptyEncoding", With({{"Transfer-Encoding", ""}}), 400},
      {"Gzip", With({{"Transfer-Encoding", "gzip"}}), 400},
      {"GzipChunked", With({{"Transfer-Encoding", "gzip, chunked"}}), 400},
      {"ChunkedAfterAComma", With({{"Transfer-Encoding", ",chunked"}}), 400},
      {"ChunkedTwice", With({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}),
       400},
      {"LengthAndChunked", With({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}), 400},
      {"Continue", With({{"Expect", "100-Continue"}}), 0},
      {"ExpectsAnotherThing", With({{"Expect", "200-ok"}}), 417},
      {"ExpectsTwice", With({{"Expect", "100-continue"}, {"Expect", "100-continue"}}), 417},
      {"WebSocket", With({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", websocket}}), 400},
      {"UpgradeThatMayBeLeft", With({{"Connection", "Upgrade"}, {"Upgrade", "h2c"}}), 0},
  };
}

class CheckHeadTest : public ::testing::TestWithParam<HeadRow> {};

TEST_P(CheckHeadTest, RefusesWhatCouldBeReadInTwoWays) {
  const std::optional<Refusal> refusal = CheckHead(GetParam().head);

  EXPECT_EQ(refusal ? refusal->status : 0, GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(Rows, CheckHeadTest, ::testing::ValuesIn(HeadRows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(HeadTest, FieldsAreFoundInAnyCase) {
  const Head head{"GET", "/", 11, {{"X-One", "1"}, {"x-two", "2"}, {"X-ONE", "3"}}};

  EXPECT_EQ(head.Find("x-one"), "1");
  EXPECT_EQ(head.Count("X-one"), 2U);
  EXPECT_EQ(head.Find("x-three"), "");
}

TEST(HeadTest, FieldsOfOneNameAreOneList) {
  const Head head{"GET", "/", 11, {{"Connection", "a, b"}, {"connection", "Close"}}};

  EXPECT_TRUE(head.Says("CONNECTION", "close"));
  EXPECT_TRUE(head.Says("connection", "b"));
  EXPECT_FALSE(head.Says("connection", "keep-alive"));
}

TEST(HeadTest, AListHasAWordWhereverItStands) {
  for (const char* list : {"close", "Close", "a, close", "close ,b", "a,\tCLOSE\t,b", ",close"})
    EXPECT_TRUE(HasWord(list, "close")) << list;
  for (const char* list : {"", ",", "closed", "not close", "clo se", "\"close\""})
    EXPECT_FALSE(HasWord(list, "close")) << list;
}

}  // namespace
}  // namespace graft::server::http
