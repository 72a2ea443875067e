#include "common/base/status.h"

#include <array>

namespace graft {

std::string_view StatusCodeName(StatusCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                              "CANCELLED",
                                                              "UNKNOWN",
                                                              "INVALID_ARGUMENT",
                                                              "DEADLINE_EXCEEDED",
                                                              "NOT_FOUND",
                                                              "ALREADY_EXISTS",
                                                              "PERMISSION_DENIED",
                                                              "RESOURCE_EXHAUSTED",
                                                              "FAILED_PRECONDITION",
                                                              "ABORTED",
                                                              "OUT_OF_RANGE",
                                                              "UNIMPLEMENTED",
                                                              "INTERNAL",
                                                              "UNAVAILABLE",
                                                              "DATA_LOSS",
                                                              "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

struct Status::Fault {
  StatusCode code;
  std::string message;
  std::vector<ErrorDetail> details;

  bool operator==(const Fault&) const = default;
};

void Status::Delete::operator()(Fault* fault) const { delete fault; }

Status::Status(StatusCode code, std::string message)
    : fault_(code == StatusCode::kOk ? nullptr : new Fault{code, std::move(message), {}}) {}

Status::Fault* Status::Copy() const { return new Fault(*fault_); }

StatusCode Status::CodeOfFault() const { return fault_->code; }

const std::string& Status::message() const {
  static const std::string kNone;
  return ok() ? kNone : fault_->message;
}

const std::vector<ErrorDetail>& Status::details() const {
  static const std::vector<ErrorDetail> kNone;
  return ok() ? kNone : fault_->details;
}

Status& Status::AddDetail(ErrorDetail detail) & {
  if (!ok()) fault_->details.push_back(std::move(detail));
  return *this;
}

Status&& Status::AddDetail(ErrorDetail detail) && {
  return std::move(AddDetail(std::move(detail)));
}

Status&& Status::At(std::string field, std::string reason) && {
  return std::move(*this).AddDetail({std::move(reason), std::move(field), 0, {}, message()});
}

bool operator==(const Status& a, const Status& b) {
  return a.ok() || b.ok() ? a.ok() == b.ok() : *a.fault_ == *b.fault_;
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return std::string(StatusCodeName(code())) + ": " + message();
}

std::ostream& operator<<(std::ostream& out, const Status& status) {
  return out << status.ToString();
}

Status CancelledError(std::string message) { return {StatusCode::kCancelled, std::move(message)}; }
Status InvalidArgumentError(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}
Status DeadlineExceededError(std::string message) {
  return {StatusCode::kDeadlineExceeded, std::move(message)};
}
Status NotFoundError(std::string message) { return {StatusCode::kNotFound, std::move(message)}; }
Status AlreadyExistsError(std::string message) {
  return {StatusCode::kAlreadyExists, std::move(message)};
}
Status PermissionDeniedError(std::string message) {
  return {StatusCode::kPermissionDenied, std::move(message)};
}
Status ResourceExhaustedError(std::string message) {
  return {StatusCode::kResourceExhausted, std::move(message)};
}
Status FailedPreconditionError(std::string message) {
  return {StatusCode::kFailedPrecondition, std::move(message)};
}
Status AbortedError(std::string message) { return {StatusCode::kAborted, std::move(message)}; }
Status OutOfRangeError(std::string message) {
  return {StatusCode::kOutOfRange, std::move(message)};
}
Status UnimplementedError(std::string message) {
  return {StatusCode::kUnimplemented, std::move(message)};
}
Status InternalError(std::string message) { return {StatusCode::kInternal, std::move(message)}; }
Status UnavailableError(std::string message) {
  return {StatusCode::kUnavailable, std::move(message)};
}
Status DataLossError(std::string message) { return {StatusCode::kDataLoss, std::move(message)}; }
Status UnauthenticatedError(std::string message) {
  return {StatusCode::kUnauthenticated, std::move(message)};
}

}  // namespace graft
