#include "proto/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::proto {
namespace {

TEST(StatusTest, EveryCodeCrossesBothWays) {
  for (int code = 0; code <= 16; ++code) {
    const auto ours = static_cast<StatusCode>(code);

    EXPECT_EQ(static_cast<int>(ToGrpcCode(ours)), code) << StatusCodeName(ours);
    EXPECT_EQ(StatusCodeFromNumber(code), ours);
  }
}

TEST(StatusTest, ForeignCodesBecomeUnknown) {
  EXPECT_EQ(StatusCodeFromNumber(17), StatusCode::kUnknown);
  EXPECT_EQ(StatusCodeFromNumber(-1), StatusCode::kUnknown);
  EXPECT_EQ(ToGrpcCode(static_cast<StatusCode>(99)), grpc::StatusCode::UNKNOWN);
}

TEST(StatusTest, MessageAndDetailsCrossBothWays) {
  const Status status =
      InvalidArgumentError("line 7 has no label")
          .AddDetail({"LABEL_MISSING", "dataset.train", 7, "label", "it is empty"});

  const grpc::Status sent = ToGrpcStatus(status);

  EXPECT_EQ(sent.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(sent.error_message(), "line 7 has no label");
  EXPECT_EQ(FromGrpcStatus(sent), status);
}

TEST(StatusTest, OkHasNoDetails) {
  EXPECT_TRUE(ToGrpcStatus(OkStatus()).ok());
  EXPECT_TRUE(ToGrpcStatus(OkStatus()).error_details().empty());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusTest, StatusOfAnotherServerKeepsCodeAndMessage) {
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::UNAVAILABLE, "no route"}),
            UnavailableError("no route"));
  EXPECT_EQ(FromGrpcStatus({grpc::StatusCode::UNAVAILABLE, "no route", "not a message \xFF"}),
            UnavailableError("no route"));
}

TEST(StatusTest, LongMessageIsCut) {
  const grpc::Status sent = ToGrpcStatus(InternalError(std::string(100'000, 'x')));

  EXPECT_EQ(sent.error_message().size(), kMaxMessageBytes);
  EXPECT_TRUE(sent.error_message().ends_with("x..."));
}

TEST(StatusTest, ManyDetailsAreCountedInstead) {
  Status status = InvalidArgumentError("bad lines");
  for (int i = 1; i <= 50; ++i) status.AddDetail({"BAD", "dataset.train", i, "", "short"});

  const graft::v1::ErrorInfo info = ToErrorInfo(status);

  EXPECT_EQ(info.details_size(), kMaxDetails);
  EXPECT_EQ(info.omitted_details(), 50 - kMaxDetails);
}

TEST(StatusTest, WhatGoesOnTheWireFitsItsTrailers) {
  Status status = InvalidArgumentError(std::string(5'000, '\n'));
  for (int i = 0; i < 50; ++i) {
    status.AddDetail({std::string(500, 'R'), std::string(5'000, 'f'), i, std::string(5'000, 'c'),
                      std::string(50'000, 'm')});
  }

  const grpc::Status sent = ToGrpcStatus(status);

  // Newlines travel as three bytes, binary trailers as base64.
  EXPECT_LE(3 * sent.error_message().size() + sent.error_details().size() * 4 / 3,
            kMaxTrailerBytes + 4);
  graft::v1::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(sent.error_details()));
  EXPECT_GT(info.details_size(), 0);
  EXPECT_EQ(info.omitted_details(), 50 - info.details_size());
}

TEST(StatusTest, FieldPathsGetAPrefix) {
  const Status status =
      PrefixFields(InvalidArgumentError("must be above 0").At("hyperparameters.epochs"), "spec");

  ASSERT_EQ(status.details().size(), 1U);
  EXPECT_EQ(status.details()[0].field, "spec.hyperparameters.epochs");
}

TEST(CutTextTest, CutsBetweenCharacters) {
  EXPECT_EQ(CutText("abcdef", 6), "abcdef");
  EXPECT_EQ(CutText("abcdefg", 6), "abc...");
  EXPECT_EQ(CutText("\u00e4\u00e4\u00e4\u00e4", 7), "\u00e4\u00e4...");
  EXPECT_EQ(CutText("\u00e4\u00e4\u00e4\u00e4", 6), "\u00e4...");
}

TEST(CutTextTest, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(CutText("a\xFFz", 10), "a?z");
  EXPECT_EQ(CutText("\xC3", 10), "?");
  EXPECT_EQ(CutText("\xED\xA0\x80", 10), "???") << "a surrogate";
  EXPECT_EQ(CutText("\xF4\x90\x80\x80", 10), "????") << "above U+10FFFF";
  EXPECT_EQ(CutText("\xC0\xAF", 10), "??") << "overlong";
}

}  // namespace
}  // namespace graft::proto
