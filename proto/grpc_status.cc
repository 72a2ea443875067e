#include "proto/grpc_status.h"

namespace graft::proto {
namespace {

/// Bytes after gRPC's percent-encoding of a status message (everything but printable ASCII
/// triples).
size_t EncodedSize(std::string_view text) {
  size_t size = 0;
  for (const char c : text) size += (c >= 0x20 && c <= 0x7E && c != '%') ? 1 : 3;
  return size;
}

}  // namespace

grpc::StatusCode ToGrpcCode(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return grpc::StatusCode::OK;
    case StatusCode::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case StatusCode::kUnknown:
      return grpc::StatusCode::UNKNOWN;
    case StatusCode::kInvalidArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case StatusCode::kDeadlineExceeded:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case StatusCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case StatusCode::kAlreadyExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case StatusCode::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case StatusCode::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case StatusCode::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case StatusCode::kAborted:
      return grpc::StatusCode::ABORTED;
    case StatusCode::kOutOfRange:
      return grpc::StatusCode::OUT_OF_RANGE;
    case StatusCode::kUnimplemented:
      return grpc::StatusCode::UNIMPLEMENTED;
    case StatusCode::kInternal:
      return grpc::StatusCode::INTERNAL;
    case StatusCode::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case StatusCode::kDataLoss:
      return grpc::StatusCode::DATA_LOSS;
    case StatusCode::kUnauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
  }
  return grpc::StatusCode::UNKNOWN;
}

grpc::Status ToGrpcStatus(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  graft::v1::ErrorInfo info = ToErrorInfo(status);
  const std::string& message = info.message();
  // Binary trailers travel as base64: four bytes for three.
  while (EncodedSize(message) + info.ByteSizeLong() * 4 / 3 > kMaxTrailerBytes &&
         info.details_size() > 0) {
    info.mutable_details()->RemoveLast();
    info.set_omitted_details(info.omitted_details() + 1);
  }
  return {ToGrpcCode(status.code()), message, info.SerializeAsString()};
}

Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  const StatusCode code = StatusCodeFromNumber(status.error_code());
  graft::v1::ErrorInfo info;
  if (!status.error_details().empty() && info.ParseFromString(status.error_details()) &&
      StatusCodeFromNumber(info.code()) == code) {
    return FromErrorInfo(info);
  }
  return {code, status.error_message()};
}

}  // namespace graft::proto
