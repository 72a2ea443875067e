#pragma once
/// The one crossing between graft::Status and grpc::Status. A graft.v1.ErrorInfo travels in the
/// trailer `grpc-status-details-bin`. Thread safety: free functions.

#include <grpcpp/support/status.h>

#include "common/base/status.h"
#include "proto/error_info.h"

namespace graft::proto {

/// A status line and its trailers share 8 KiB on the wire, and one that exceeds them harms the
/// connection's next call too: so the message is cut, and details are dropped from the end (counted
/// in omitted_details) until all fits.
inline constexpr size_t kMaxTrailerBytes = 7 * 1024;

/// Same number on both sides; spelled out so that a new code cannot slip through.
grpc::StatusCode ToGrpcCode(StatusCode code);

grpc::Status ToGrpcStatus(const Status& status);
/// Reads back what ToGrpcStatus wrote; a status without an ErrorInfo keeps its code and message.
Status FromGrpcStatus(const grpc::Status& status);

}  // namespace graft::proto
