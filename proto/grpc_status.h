#pragma once
/// The one crossing between graft::Status and grpc::Status. A graft.v1.ErrorInfo with code, message
/// and details travels in the trailer `grpc-status-details-bin`. Thread safety: free functions.

#include <string>
#include <string_view>

#include <grpcpp/support/status.h>

#include "common/base/status.h"
#include "graft/v1/error.pb.h"

namespace graft::proto {

/// A status line and its trailers share 8 KiB on the wire, and one that exceeds them harms the
/// connection's next call too: so the message is cut, and details are dropped from the end (counted
/// in omitted_details) until all fits.
inline constexpr size_t kMaxMessageBytes = 1024;
inline constexpr int kMaxDetails = 20;
inline constexpr size_t kMaxTrailerBytes = 7 * 1024;

/// Same number on both sides; spelled out so that a new code cannot slip through.
grpc::StatusCode ToGrpcCode(StatusCode code);
/// Foreign numbers become kUnknown.
StatusCode FromGrpcCode(int code);

grpc::Status ToGrpcStatus(const Status& status);
/// Reads back what ToGrpcStatus wrote; a status without an ErrorInfo keeps its code and message.
Status FromGrpcStatus(const grpc::Status& status);

graft::v1::ErrorInfo ToErrorInfo(const Status& status);
Status FromErrorInfo(const graft::v1::ErrorInfo& info);

/// Puts `prefix` and a dot before every detail's field path: the path inside a message becomes one
/// inside the request.
Status PrefixFields(Status status, std::string_view prefix);

/// Returns at most `max_bytes` of `text`, cut between characters, with "..." behind a cut. Bytes
/// that aren't UTF-8 become '?', since protobuf strings must be valid.
std::string CutText(std::string_view text, size_t max_bytes);

}  // namespace graft::proto
