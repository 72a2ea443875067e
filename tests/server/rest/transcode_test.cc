#include "server/rest/transcode.h"

#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graft/v1/adapter.pb.h"
#include "graft/v1/finetuning.pb.h"
#include "tests/support/must.h"

namespace graft::server::rest {
namespace {

using graft::testing::Must;
using graft::v1::CreateJobRequest;
using graft::v1::ListJobsRequest;
using graft::v1::SetAliasRequest;
using ::testing::HasSubstr;

http::Request WithBody(std::string body) {
  http::Request request;
  request.body = std::move(body);
  return request;
}
http::Request WithQuery(std::map<std::string, std::string> query) {
  http::Request request;
  request.query = std::move(query);
  return request;
}

TEST(FillInTest, ArgumentsStandInTheirBraces) {
  http::Request request;
  request.arguments = {{"adapter", "support"}, {"version", "3"}};

  EXPECT_EQ(FillIn("adapters/{adapter}/versions/{version}", request),
            "adapters/support/versions/3");
  EXPECT_EQ(FillIn("{adapter}", request), "support");
  EXPECT_EQ(FillIn("adapters", request), "adapters");
}

TEST(FillInTest, AnArgumentIsNoPatternItself) {
  http::Request request;
  request.arguments = {{"adapter", "{version}"}, {"version", "3"}};

  EXPECT_EQ(FillIn("adapters/{adapter}/versions/{version}", request),
            "adapters/{version}/versions/3");
}

TEST(BodyOfTest, NothingIsAnEmptyObject) { EXPECT_EQ(Must(BodyOf(WithBody(""))), Json::object()); }

TEST(BodyOfTest, OnlyAnObjectIsABody) {
  EXPECT_TRUE(BodyOf(WithBody(" {\"a\": 1} ")).ok());
  for (const char* text : {"[]", "1", "null", "\"{}\"", "{", "{}{}", "{\"a\":1,\"a\":2}", "\xff",
                           "{\"a\":\"\xff\"}", "{'a':1}", "NaN"})
    EXPECT_EQ(BodyOf(WithBody(text)).status().code(), StatusCode::kInvalidArgument) << text;
}

TEST(BodyOfTest, WhatIsTooDeepIsRefused) {
  EXPECT_EQ(BodyOf(WithBody("{\"a\":" + std::string(100'000, '['))).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(ReadMessageTest, ABodyIsProtobufsJson) {
  CreateJobRequest message;

  Must(ReadMessage(WithBody(R"({"spec": {"base": "b", "promote": true}, "request_id": "r"})"), {},
                   message));

  EXPECT_EQ(message.spec().base(), "b");
  EXPECT_TRUE(message.spec().promote());
  EXPECT_EQ(message.request_id(), "r");
}

TEST(ReadMessageTest, AQueryFillsFields) {
  ListJobsRequest message;

  Must(ReadMessage(WithQuery({{"page_size", "7"}, {"page_token", "x"}}), {}, message));

  EXPECT_EQ(message.page_size(), 7);
  EXPECT_EQ(message.page_token(), "x");
}

TEST(ReadMessageTest, ThePathFillsFields) {
  SetAliasRequest message;
  http::Request request = WithBody(R"({"version": "3"})");
  request.arguments = {{"adapter", "support"}, {"alias", "live"}};

  const Status status =
      ReadMessage(request, {{"adapter", "adapters/{adapter}"}, {"alias", "{alias}"}}, message);

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(message.adapter(), "adapters/support");
  EXPECT_EQ(message.alias(), "live");
}

TEST(ReadMessageTest, ABodyMayRepeatThePath) {
  SetAliasRequest message;
  http::Request request = WithBody(R"({"alias": "live"})");
  request.arguments = {{"alias", "live"}};

  EXPECT_TRUE(ReadMessage(request, {{"alias", "{alias}"}}, message).ok());
}

struct Row {
  const char* name;
  http::Request request;
  const char* field;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

http::Request Aliased(std::string body, std::map<std::string, std::string> query = {}) {
  http::Request request = WithBody(std::move(body));
  request.query = std::move(query);
  request.arguments = {{"alias", "live"}};
  return request;
}

class ReadMessageFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(ReadMessageFaultTest, NamesTheField) {
  ListJobsRequest list;
  SetAliasRequest alias;
  const bool has_path = !GetParam().request.arguments.empty();

  const Status status = has_path ? ReadMessage(GetParam().request, {{"alias", "{alias}"}}, alias)
                                 : ReadMessage(GetParam().request, {}, list);

  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_THAT(status.details(), ::testing::SizeIs(1));
  EXPECT_EQ(status.details()[0].field, GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ReadMessageFaultTest,
    ::testing::Values(
        Row{"UnknownParameter", WithQuery({{"page", "1"}}), "page"},
        Row{"NumberOfLetters", WithQuery({{"page_size", "x"}}), "page_size"},
        Row{"NumberWithMore", WithQuery({{"page_size", "1 "}}), "page_size"},
        Row{"NumberOfNothing", WithQuery({{"page_size", ""}}), "page_size"},
        Row{"NumberBeyond64Bits", WithQuery({{"page_size", "9999999999999999999"}}), "page_size"},
        Row{"NumberBeyond32Bits", WithQuery({{"page_size", "4294967296"}}), ""},
        Row{"BodyDiffersFromThePath", Aliased(R"({"alias": "x"})"), "alias"},
        Row{"BodyOfAnotherTypeThanThePath", Aliased(R"({"alias": 1})"), "alias"},
        Row{"QueryDiffersFromThePath", Aliased("", {{"alias", "x"}}), "alias"},
        Row{"BodyAndQuery", Aliased(R"({"version": "1"})", {{"version", "1"}}), "version"},
        Row{"UnknownField", Aliased(R"({"versions": 1})"), ""},
        Row{"FieldOfAnotherType", Aliased(R"({"version": []})"), ""}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(JsonTextTest, AbsentFieldsAreWrittenByTheirProtosNames) {
  const Json json = Must(ToJson(ListJobsRequest()));

  EXPECT_EQ(json["page_size"], 0);
  EXPECT_EQ(json["page_token"], "");
}

TEST(DumpTest, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(Dump(Json("a\xff")), "\"a\xef\xbf\xbd\"");
  EXPECT_THAT(Dump({{"a", "\n"}}), ::testing::Not(HasSubstr("\n"))) << "an event is one line";
}

}  // namespace
}  // namespace graft::server::rest
