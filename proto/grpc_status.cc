#include "proto/grpc_status.h"

#include <algorithm>

namespace graft::proto {
namespace {

/// Length of the valid UTF-8 character at the front of `text`, 0 if there is none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

/// Bytes after gRPC's percent-encoding of a status message (everything but printable ASCII
/// triples).
size_t EncodedSize(std::string_view text) {
  size_t size = 0;
  for (const char c : text) size += (c >= 0x20 && c <= 0x7E && c != '%') ? 1 : 3;
  return size;
}

void FillDetail(const ErrorDetail& from, graft::v1::ErrorDetail& to) {
  to.set_reason(CutText(from.reason, 64));
  to.set_field(CutText(from.field, 256));
  to.set_line(from.line);
  to.set_column(CutText(from.column, 256));
  to.set_message(CutText(from.message, 512));
}

}  // namespace

std::string CutText(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t fits = 0;  // Longest prefix that leaves room for the dots.
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character = length == 0 ? std::string_view("?") : text.substr(0, length);
    if (out.size() + character.size() > max_bytes) return out.substr(0, fits) + "...";
    out += character;
    if (out.size() + 3 <= max_bytes) fits = out.size();
    text.remove_prefix(character.size());
  }
  return out;
}

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

StatusCode FromGrpcCode(int code) {
  if (code < 0 || code > static_cast<int>(StatusCode::kUnauthenticated))
    return StatusCode::kUnknown;
  return static_cast<StatusCode>(code);
}

graft::v1::ErrorInfo ToErrorInfo(const Status& status) {
  graft::v1::ErrorInfo info;
  info.set_code(ToGrpcCode(status.code()));
  info.set_message(CutText(status.message(), kMaxMessageBytes));
  for (const ErrorDetail& detail : status.details()) {
    if (info.details_size() == kMaxDetails) break;
    FillDetail(detail, *info.add_details());
  }
  info.set_omitted_details(static_cast<int64_t>(status.details().size()) - info.details_size());
  return info;
}

Status FromErrorInfo(const graft::v1::ErrorInfo& info) {
  Status status(FromGrpcCode(info.code()), info.message());
  for (const graft::v1::ErrorDetail& detail : info.details()) {
    status.AddDetail(
        {detail.reason(), detail.field(), detail.line(), detail.column(), detail.message()});
  }
  return status;
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
  const StatusCode code = FromGrpcCode(status.error_code());
  graft::v1::ErrorInfo info;
  if (!status.error_details().empty() && info.ParseFromString(status.error_details()) &&
      FromGrpcCode(info.code()) == code) {
    return FromErrorInfo(info);
  }
  return {code, status.error_message()};
}

Status PrefixFields(Status status, std::string_view prefix) {
  Status out(status.code(), status.message());
  for (ErrorDetail detail : status.details()) {
    detail.field =
        detail.field.empty() ? std::string(prefix) : std::string(prefix) + "." + detail.field;
    out.AddDetail(std::move(detail));
  }
  return out;
}

}  // namespace graft::proto
