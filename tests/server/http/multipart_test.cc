#include "server/http/multipart.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::http {
namespace {

using ::testing::ElementsAre;
using Kind = MultipartParser::Event::Kind;

/// What came of a form: each part as "name=data" or "name<file name>=data", then "end", "more" if
/// it goes on, or "fault".
using Parts = std::vector<std::string>;

void Drain(MultipartParser& parser, Parts& parts) {
  while (true) {
    const StatusOr<MultipartParser::Event> event = parser.Next();
    if (!event.ok()) {
      if (parts.empty() || parts.back() != "fault") parts.emplace_back("fault");
      return;
    }
    switch (event->kind) {
      case Kind::kMore:
        return;
      case Kind::kPart:
        parts.push_back(event->name +
                        (event->file_name ? "<" + *event->file_name + ">=" : std::string("=")));
        break;
      case Kind::kData:
        EXPECT_FALSE(event->data.empty());
        parts.back() += event->data;
        break;
      case Kind::kPartEnd:
        parts.back() += ".";
        break;
      case Kind::kEnd:
        parts.emplace_back("end");
        return;
    }
  }
}

Parts Parse(const std::vector<std::string>& pieces, const std::string& boundary = "xyz") {
  MultipartParser parser(boundary);
  Parts parts;
  for (const std::string& piece : pieces) {
    parser.Feed(piece);
    Drain(parser, parts);
    if (!parts.empty() && (parts.back() == "end" || parts.back() == "fault")) break;
  }
  return parts;
}

Parts ParseByteByByte(const std::string& bytes, const std::string& boundary = "xyz") {
  std::vector<std::string> pieces;
  for (const char byte : bytes) pieces.emplace_back(1, byte);
  return Parse(pieces, boundary);
}

std::string Field(const std::string& name, const std::string& value) {
  return "--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}
std::string File(const std::string& name, const std::string& bytes) {
  return "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
         "\"\r\nContent-Type: text/csv\r\n\r\n" + bytes + "\r\n";
}
/// A part with this Content-Disposition.
std::string Disposed(const std::string& disposition) {
  return "--xyz\r\nContent-Disposition: " + disposition + "\r\n\r\nv\r\n--xyz--\r\n";
}
const std::string kEnd = "--xyz--\r\n";

struct Row {
  const char* name;
  std::string bytes;
  Parts parts;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::vector<Row> Rows() {
  const std::string nul(1, '\0');
  return {
      {"FieldAndFile",
       Field("purpose", "fine-tune") + File("a.csv", "x,y\r\n1,2\r\n") + kEnd,
       {"purpose=fine-tune.", "file<a.csv>=x,y\r\n1,2\r\n.", "end"}},
      {"NoParts", kEnd, {"end"}},
      {"EmptyFile", File("a.csv", "") + kEnd, {"file<a.csv>=.", "end"}},
      {"EmptyFileName", File("", "x") + kEnd, {"file<>=x.", "end"}},
      {"OneLineEnd", File("a", "\r\n") + kEnd, {"file<a>=\r\n.", "end"}},
      {"DataOfHalfADelimiter", File("a", "\r\n--xy") + kEnd, {"file<a>=\r\n--xy.", "end"}},
      {"DelimiterWithoutItsLineEnd",
       File("a", "q--xyz--\r\n--xy\r\n--") + kEnd,
       {"file<a>=q--xyz--\r\n--xy\r\n--.", "end"}},
      {"DelimiterBehindALineFeed", File("a", "q\n--xyz\n") + kEnd, {"file<a>=q\n--xyz\n.", "end"}},
      {"DelimiterInOtherCase", File("a", "\r\n--XYZ--") + kEnd, {"file<a>=\r\n--XYZ--.", "end"}},
      {"DelimiterBeginsTwice",
       File("a", "\r\r\n\r\n-\r\n--x") + kEnd,
       {"file<a>=\r\r\n\r\n-\r\n--x.", "end"}},
      {"Binary",
       File("a", nul + "\xff\x01\r" + nul + "\n") + kEnd,
       {"file<a>=" + nul + "\xff\x01\r" + nul + "\n.", "end"}},
      {"WithoutABlankLine",
       "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--xyz--\r\n",
       {"a=.", "end"}},
      {"Preamble", "This is a form.\r\n" + Field("a", "b") + kEnd, {"a=b.", "end"}},
      {"PreambleLikeADelimiter", "--xy\r\n\r\n--xy\r\n" + Field("a", "b") + kEnd, {"a=b.", "end"}},
      {"LongestPreamble",
       std::string(4094, 'p') + "\r\n" + Field("a", "b") + kEnd,
       {"a=b.", "end"}},
      {"PreambleTooLong", std::string(4095, 'p') + "\r\n" + Field("a", "b") + kEnd, {"fault"}},
      {"NoDelimiterAtAll", std::string(70'000, 'p'), {"fault"}},
      {"Epilogue", Field("a", "b") + kEnd + "more\r\n--xyz\r\n", {"a=b.", "end"}},
      {"WithoutTheLastLineEnd", Field("a", "b") + "--xyz--", {"a=b.", "end"}},
      {"WithoutTheEnd", Field("a", "b"), {"a="}},
      {"CutBehindADelimiter", Field("a", "b") + "--xyz", {"a=b."}},
      {"CutInAHead", Field("a", "b") + "--xyz\r\nContent-Dis", {"a=b."}},
      {"DelimiterGoesOn", Field("a", "b") + "--xyzz--\r\n", {"a=b.", "fault"}},
      {"SpaceBehindADelimiter", Field("a", "b") + "--xyz \r\n", {"a=b.", "fault"}},
      {"LineFeedBehindADelimiter", Field("a", "b") + "--xyz\nX", {"a=b.", "fault"}},
      {"HeadlessPart", "--xyz\r\n\r\nv\r\n--xyz--", {"fault"}},
      {"LongestHead",
       "--xyz\r\nX: " + std::string(8192 - 2 - 48, 'x') +
           "\r\nContent-Disposition: form-data; name=\"long\"\r\n\r\nv\r\n--xyz--",
       {"long=v.", "end"}},
      {"HeadTooLong",
       "--xyz\r\nX: " + std::string(8192 - 2 - 47, 'x') +
           "\r\nContent-Disposition: form-data; name=\"long\"\r\n\r\nv\r\n--xyz--",
       {"fault"}},
      {"HeadWithoutEnd", "--xyz\r\n" + std::string(70'000, 'x'), {"fault"}},
      {"HeadWithoutColon", "--xyz\r\nnonsense\r\n\r\nv\r\n--xyz--", {"fault"}},
      {"NoDisposition", "--xyz\r\nContent-Type: text/csv\r\n\r\nv\r\n--xyz--", {"fault"}},
      {"TwoDispositions",
       "--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
       "name=b\r\n\r\nv\r\n--xyz--",
       {"fault"}},
      {"NameUnquoted", Disposed("form-data; name=a; filename=b.csv"), {"a<b.csv>=v.", "end"}},
      {"OtherCaseAndSpaces",
       Disposed("Form-Data ;  NAME=\"a\" ;FileName=\"b\""),
       {"a<b>=v.", "end"}},
      {"FileNameFirst", Disposed("form-data; filename=\"b\"; name=\"a\""), {"a<b>=v.", "end"}},
      {"SemicolonInAName",
       Disposed("form-data; name=\"a; filename=x\""),
       {"a; filename=x=v.", "end"}},
      {"NameInsideOfAnother",
       Disposed("form-data; filename=\"; name=b\"; name=\"a\""),
       {"a<; name=b>=v.", "end"}},
      {"QuoteEscapedByBackslash",
       Disposed(R"(form-data; name="a"; filename="x\"y\\z")"),
       {R"(a<x"y\z>=v.)", "end"}},
      {"QuoteEscapedByPercent",
       Disposed("form-data; name=\"a\"; filename=\"x%22y\""),
       {"a<x%22y>=v.", "end"}},
      {"BackslashOfABrowser",
       Disposed(R"(form-data; name="a"; filename="C:\data\new.csv")"),
       {R"(a<C:\data\new.csv>=v.)", "end"}},
      {"FileNameInUtf8",
       Disposed("form-data; name=\"a\"; filename=\"\xc3\xa9.csv\""),
       {"a<\xc3\xa9.csv>=v.", "end"}},
      {"NameWithoutEnd", Disposed("form-data; name=\"a"), {"fault"}},
      {"NoName", Disposed("form-data"), {"fault"}},
      {"NoNameButAFile", Disposed("form-data; filename=\"a\""), {"fault"}},
      {"NameWithoutValue", Disposed("form-data; name"), {"fault"}},
      {"Attachment", Disposed("attachment; name=\"a\""), {"fault"}},
      {"FormDataGoesOn", Disposed("form-data-x; name=\"a\""), {"fault"}},
      {"NothingButSemicolons", Disposed(";;;;"), {"fault"}},
  };
}

class MultipartTest : public ::testing::TestWithParam<Row> {};

TEST_P(MultipartTest, AFormIsItsParts) { EXPECT_EQ(Parse({GetParam().bytes}), GetParam().parts); }

TEST_P(MultipartTest, BytesOneByOneAreTheSame) {
  EXPECT_EQ(ParseByteByByte(GetParam().bytes), GetParam().parts);
}

TEST_P(MultipartTest, EverySplitInTwoIsTheSame) {
  const std::string& bytes = GetParam().bytes;
  // A long one at some.
  for (size_t size = 1; size < bytes.size(); size += 1 + bytes.size() / 1000)
    EXPECT_EQ(Parse({bytes.substr(0, size), bytes.substr(size)}), GetParam().parts) << size;
}

INSTANTIATE_TEST_SUITE_P(Rows, MultipartTest, ::testing::ValuesIn(Rows()),
                         [](const auto& row) { return std::string(row.param.name); });

/// One client's form, a field and a file, as its bytes are on the wire.
struct Client {
  const char* name;
  std::string boundary;
  std::string bytes;
};

std::vector<Client> Clients() {
  const std::string chrome = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
  const std::string firefox = "---------------------------9051914041544843365972754266";
  const std::string curl = "------------------------d74496d66958873e";
  const std::string requests = "b3f1c7ad1b2d4a8f9c6e0a1b2c3d4e5f";
  const auto form = [](const std::string& boundary, const std::string& field,
                       const std::string& file, const std::string& end) {
    return "--" + boundary + "\r\n" + field + "\r\n\r\nfine-tune\r\n--" + boundary + "\r\n" + file +
           "\r\n\r\n{}\n\r\n--" + boundary + "--" + end;
  };
  const std::string field = "Content-Disposition: form-data; name=\"purpose\"";
  const std::string file =
      "Content-Disposition: form-data; name=\"file\"; filename=\"train.jsonl\"";
  const std::string octets = "\r\nContent-Type: application/octet-stream";
  return {{"Chrome", chrome, form(chrome, field, file + octets, "\r\n")},
          {"Firefox", firefox, form(firefox, field, file + octets, "\r\n")},
          {"Curl", curl, form(curl, field, file + octets, "\r\n")},
          {"Httpx", requests, form(requests, field, file + octets, "\r\n")},
          {"Requests", requests, form(requests, field, file, "\r\n")},
          {"Node", "form-data-1", form("form-data-1", field, file + octets, "\r\n\r\n")},
          {"Go", requests + requests.substr(0, 28),
           form(requests + requests.substr(0, 28), field, file + octets, "\r\n")}};
}

TEST(MultipartClientsTest, TheFormsOfCommonClientsAreReadAtEverySplit) {
  for (const Client& client : Clients()) {
    for (size_t size = 0; size < client.bytes.size(); ++size) {
      ASSERT_THAT(Parse({client.bytes.substr(0, size), client.bytes.substr(size)}, client.boundary),
                  ElementsAre("purpose=fine-tune.", "file<train.jsonl>={}\n.", "end"))
          << client.name << " at " << size;
    }
  }
}

TEST(MultipartFaultTest, AFaultStays) {
  MultipartParser parser("xyz");
  parser.Feed("--xyz\r\nnonsense\r\n\r\n");
  ASSERT_FALSE(parser.Next().ok());

  parser.Feed(Field("a", "b") + kEnd);

  EXPECT_EQ(parser.Next().status().code(), StatusCode::kInvalidArgument);
}

TEST(MultipartDataTest, NoMoreWaitsThanADelimiterWouldHave) {
  MultipartParser parser("xyz");
  parser.Feed(File("a", std::string(100'000, 'q')).substr(0, 90'000));
  ASSERT_EQ(parser.Next()->kind, Kind::kPart);

  const std::string data = parser.Next()->data;

  EXPECT_GT(data.size() + 200, 90'000U);
  EXPECT_EQ(parser.Next()->kind, Kind::kMore);
}

TEST(BoundaryOfTest, ABoundaryMayBeQuoted) {
  const std::pair<const char*, const char*> rows[] = {
      {"multipart/form-data; boundary=abc", "abc"},
      {"Multipart/Form-Data;boundary=\"a b:c\"", "a b:c"},
      {"multipart/form-data; charset=utf-8; Boundary=----x; q=1", "----x"},
      {"multipart/form-data ; boundary = abc ", "abc"}};
  for (const auto& [type, boundary] : rows) {
    const StatusOr<std::string> found = BoundaryOf(type);
    ASSERT_TRUE(found.ok()) << type << found.status();
    EXPECT_EQ(*found, boundary);
  }
}

TEST(BoundaryOfTest, WhatIsNoFormHasNone) {
  for (const std::string& type : std::vector<std::string>{
           "", "multipart/form-data", "multipart/form-data;", "multipart/form-data; boundary",
           "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
           "multipart/form-data; boundary=\"abc", "multipart/form-data; boundary=\"abc \"",
           "multipart/form-data; boundary=a\x01", "multipart/form-data; boundary=\"a\\\r\nb\"",
           "multipart/form-data; boundary=" + std::string(71, 'a'), "multipart/mixed; boundary=abc",
           "multipart/form-datax; boundary=abc", "application/json", "boundary=abc"})
    EXPECT_EQ(BoundaryOf(type).status().code(), StatusCode::kInvalidArgument) << type;
}

}  // namespace
}  // namespace graft::server::http
