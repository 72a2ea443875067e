#include "server/http/errors.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"

namespace graft::server::http {
namespace {

Json ErrorOf(const std::string& body) { return Json::parse(body).at("error"); }

TEST(HttpStatusTest, EachCodeHasItsStatus) {
  const std::pair<StatusCode, int> rows[] = {
      {StatusCode::kCancelled, 499},          {StatusCode::kUnknown, 500},
      {StatusCode::kInvalidArgument, 400},    {StatusCode::kDeadlineExceeded, 504},
      {StatusCode::kNotFound, 404},           {StatusCode::kAlreadyExists, 409},
      {StatusCode::kPermissionDenied, 403},   {StatusCode::kResourceExhausted, 429},
      {StatusCode::kFailedPrecondition, 400}, {StatusCode::kAborted, 409},
      {StatusCode::kOutOfRange, 400},         {StatusCode::kUnimplemented, 400},
      {StatusCode::kInternal, 500},           {StatusCode::kUnavailable, 503},
      {StatusCode::kDataLoss, 500},           {StatusCode::kUnauthenticated, 401}};
  for (const auto& [code, status] : rows)
    EXPECT_EQ(HttpStatus(code), status) << StatusCodeName(code);
}

TEST(ErrorBodyTest, AFaultIsToldWithItsFieldAndReason) {
  const Json error = ErrorOf(
      ErrorBody(InvalidArgumentError("top_p must be in [0, 1]").At("top_p", "OUT_OF_RANGE")));

  EXPECT_EQ(error["message"], "top_p must be in [0, 1]");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "top_p");
  EXPECT_EQ(error["code"], "out_of_range");
  EXPECT_EQ(error["details"][0]["field"], "top_p");
}

TEST(ErrorBodyTest, AFaultWithoutDetailsHasItsCodesName) {
  const Json error = ErrorOf(ErrorBody(UnavailableError("no worker")));

  EXPECT_EQ(error, Json({{"message", "no worker"},
                         {"type", "server_error"},
                         {"param", nullptr},
                         {"code", "unavailable"}}));
}

TEST(ErrorBodyTest, DetailsHaveOnlyWhatIsKnown) {
  const Json error = ErrorOf(
      ErrorBody(InvalidArgumentError("bad data").AddDetail({"BAD_LINE", {}, 7, "text", "empty"})));

  EXPECT_EQ(error["param"], nullptr);
  EXPECT_EQ(error["details"][0],
            Json({{"reason", "BAD_LINE"}, {"line", 7}, {"column", "text"}, {"message", "empty"}}));
}

TEST(ErrorBodyTest, TypesAreThoseOfOpenAisPackage) {
  const std::pair<Status, const char*> rows[] = {
      {UnauthenticatedError("x"), "invalid_request_error"},
      {NotFoundError("x"), "invalid_request_error"},
      {AbortedError("x"), "invalid_request_error"},
      {ResourceExhaustedError("x"), "rate_limit_error"},
      {InternalError("x"), "server_error"},
      {UnimplementedError("x"), "invalid_request_error"}};
  for (const auto& [status, type] : rows) EXPECT_EQ(ErrorOf(ErrorBody(status))["type"], type);
}

TEST(ErrorBodyTest, AMessageThatIsNotUtf8IsStillJson) {
  const Json error = ErrorOf(ErrorBody(NotFoundError("there is no \xff")));

  EXPECT_EQ(error["message"], "there is no \xef\xbf\xbd");
}

TEST(ErrorBodyTest, ARefusalIsToldLikeAFault) {
  const Json error = ErrorOf(ErrorBody(Refusal{405, "takes GET", "method_not_allowed", "GET"}));

  EXPECT_EQ(error, Json({{"message", "takes GET"},
                         {"type", "invalid_request_error"},
                         {"param", nullptr},
                         {"code", "method_not_allowed"}}));
}

TEST(ErrorHeadTest, WhatAskingAgainCannotHelpSaysSo) {
  for (const Status& status : {AlreadyExistsError("x"), AbortedError("x"), InternalError("x"),
                               DataLossError("x"), DeadlineExceededError("x")}) {
    EXPECT_THAT(ErrorHead(status).headers,
                ::testing::ElementsAre(::testing::Pair("x-should-retry", "false")))
        << status;
  }
}

TEST(ErrorHeadTest, WhatPassesSaysWhenToAskAgain) {
  for (const int status : {429, 503})
    EXPECT_THAT(ErrorHead(status).headers,
                ::testing::ElementsAre(::testing::Pair("Retry-After", "1")));
  for (const int status : {400, 404, 500}) EXPECT_TRUE(ErrorHead(status).headers.empty());
}

TEST(CodeOfTest, RefusalsAreCountedByWhatTheyMean) {
  const std::pair<int, StatusCode> rows[] = {
      {400, StatusCode::kInvalidArgument},   {403, StatusCode::kPermissionDenied},
      {404, StatusCode::kNotFound},          {405, StatusCode::kNotFound},
      {408, StatusCode::kDeadlineExceeded},  {413, StatusCode::kResourceExhausted},
      {414, StatusCode::kInvalidArgument},   {415, StatusCode::kInvalidArgument},
      {417, StatusCode::kInvalidArgument},   {431, StatusCode::kResourceExhausted},
      {503, StatusCode::kResourceExhausted}, {505, StatusCode::kUnimplemented}};
  for (const auto& [status, code] : rows)
    EXPECT_EQ(CodeOf(Refusal{status, "", "", ""}), code) << status;
}

}  // namespace
}  // namespace graft::server::http
