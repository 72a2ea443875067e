#include "common/base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>

namespace graft {
namespace {

TEST(StatusTest, DefaultIsOk) {
  const Status status;

  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.ToString(), "OK");
  EXPECT_EQ(status, OkStatus());
}

TEST(StatusTest, EachMakerGivesItsGrpcCodeAndName) {
  const struct {
    Status status;
    int code;
    std::string_view name;
  } kCases[] = {
      {CancelledError("x"), 1, "CANCELLED"},
      {{StatusCode::kUnknown, "x"}, 2, "UNKNOWN"},
      {InvalidArgumentError("x"), 3, "INVALID_ARGUMENT"},
      {DeadlineExceededError("x"), 4, "DEADLINE_EXCEEDED"},
      {NotFoundError("x"), 5, "NOT_FOUND"},
      {AlreadyExistsError("x"), 6, "ALREADY_EXISTS"},
      {PermissionDeniedError("x"), 7, "PERMISSION_DENIED"},
      {ResourceExhaustedError("x"), 8, "RESOURCE_EXHAUSTED"},
      {FailedPreconditionError("x"), 9, "FAILED_PRECONDITION"},
      {AbortedError("x"), 10, "ABORTED"},
      {OutOfRangeError("x"), 11, "OUT_OF_RANGE"},
      {UnimplementedError("x"), 12, "UNIMPLEMENTED"},
      {InternalError("x"), 13, "INTERNAL"},
      {UnavailableError("x"), 14, "UNAVAILABLE"},
      {DataLossError("x"), 15, "DATA_LOSS"},
      {UnauthenticatedError("x"), 16, "UNAUTHENTICATED"},
  };
  for (const auto& [status, code, name] : kCases) {
    EXPECT_EQ(static_cast<int>(status.code()), code);
    EXPECT_EQ(StatusCodeName(status.code()), name);
    EXPECT_EQ(status.ToString(), std::string(name) + ": x");
  }
}

TEST(StatusTest, NameOfAForeignCodeIsUnknown) {
  EXPECT_EQ(StatusCodeName(static_cast<StatusCode>(17)), "UNKNOWN");
  EXPECT_EQ(StatusCodeName(static_cast<StatusCode>(-1)), "UNKNOWN");
}

TEST(StatusTest, PrintsItself) {
  std::ostringstream out;

  out << NotFoundError("no base named x");

  EXPECT_EQ(out.str(), "NOT_FOUND: no base named x");
}

TEST(StatusTest, AtAddsTheFieldWithTheMessage) {
  const Status status =
      InvalidArgumentError("rank must be 1 or more").At("method.rank", "BAD_RANK");

  ASSERT_EQ(status.details().size(), 1U);
  EXPECT_EQ(status.details()[0],
            (ErrorDetail{"BAD_RANK", "method.rank", 0, "", "rank must be 1 or more"}));
  EXPECT_EQ(status.message(), "rank must be 1 or more");
}

TEST(StatusTest, DetailsKeepTheirOrderAndCount) {
  Status status = InvalidArgumentError("bad lines");
  status.AddDetail({"A", "f", 1, "c", "m"}).AddDetail({"B", "f", 2, "c", "m"});

  ASSERT_EQ(status.details().size(), 2U);
  EXPECT_EQ(status.details()[0].reason, "A");
  EXPECT_EQ(status.details()[1].line, 2);
  EXPECT_NE(status, InvalidArgumentError("bad lines"));
}

TEST(StatusTest, CopiesAreApart) {
  Status status = InvalidArgumentError("bad lines").At("dataset");
  Status copy = status;

  copy.AddDetail({"MORE", "f", 1, "c", "m"});
  EXPECT_EQ(status.details().size(), 1U);
  EXPECT_EQ(copy.details().size(), 2U);
  copy = status;
  EXPECT_EQ(copy, status);
  copy = OkStatus();
  EXPECT_TRUE(copy.ok());
  EXPECT_FALSE(status.ok());
}

TEST(StatusTest, AMovedOneLeavesOkBehind) {
  Status status = NotFoundError("gone");
  const Status taken = std::move(status);

  EXPECT_EQ(taken, NotFoundError("gone"));
  EXPECT_TRUE(status.ok());  // NOLINT: promised
}

TEST(StatusTest, SuccessHasNothingToSay) {
  Status status(StatusCode::kOk, "fine");
  status.AddDetail({"R", "f", 1, "c", "m"});

  EXPECT_EQ(status, OkStatus());
  EXPECT_EQ(status.message(), "");
  EXPECT_TRUE(status.details().empty());
}

TEST(StatusOrTest, HoldsAValue) {
  StatusOr<std::string> value = std::string("x");

  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, "x");
  EXPECT_EQ(value->size(), 1U);
  EXPECT_TRUE(value.status().ok());
}

TEST(StatusOrTest, HoldsAnError) {
  const StatusOr<std::string> value = NotFoundError("gone");

  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.status(), NotFoundError("gone"));
}

TEST(StatusOrTest, OkWithoutAValueIsABugAndNotSuccess) {
  const StatusOr<int> value = OkStatus();

  EXPECT_FALSE(value.ok());
  EXPECT_EQ(value.status().code(), StatusCode::kInternal);
}

TEST(StatusOrTest, GivesItsErrorAway) {
  StatusOr<std::string> value = NotFoundError("gone");

  EXPECT_EQ(std::move(value).status(), NotFoundError("gone"));
  EXPECT_FALSE(value.ok());  // NOLINT: it never becomes a value
}

StatusOr<int> Half(int n) {
  if (n % 2 != 0) return InvalidArgumentError("odd");
  return n / 2;
}

StatusOr<int> Quarter(int n) {
  GRAFT_ASSIGN_OR_RETURN(const int half, Half(n));
  GRAFT_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckHalf(int n, int* num_passed) {
  GRAFT_RETURN_IF_ERROR(Half(n).status());
  ++*num_passed;
  return OkStatus();
}

TEST(StatusMacrosTest, AssignOrReturnStopsAtTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status(), InvalidArgumentError("odd"));
  EXPECT_EQ(Quarter(7).status(), InvalidArgumentError("odd"));
}

TEST(StatusMacrosTest, ReturnIfErrorStopsAtTheFirstError) {
  int num_passed = 0;

  EXPECT_TRUE(CheckHalf(2, &num_passed).ok());
  EXPECT_EQ(CheckHalf(1, &num_passed), InvalidArgumentError("odd"));
  EXPECT_EQ(num_passed, 1);
}

StatusOr<std::unique_ptr<int>> Boxed() { return std::make_unique<int>(7); }

Status Unbox(int* value) {
  GRAFT_ASSIGN_OR_RETURN(const std::unique_ptr<int> box, Boxed());
  *value = *box;
  return OkStatus();
}

TEST(StatusMacrosTest, AssignOrReturnMovesWhatCannotBeCopied) {
  int value = 0;

  ASSERT_TRUE(Unbox(&value).ok());
  EXPECT_EQ(value, 7);
}

}  // namespace
}  // namespace graft
