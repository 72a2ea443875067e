#pragma once
/// The one crossing between graft::Status and graft.v1.ErrorInfo, which carries code, message and
/// details wherever a status travels as a message. Thread safety: free functions.

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "graft/v1/error.pb.h"

namespace graft::proto {

inline constexpr size_t kMaxMessageBytes = 1024;
inline constexpr int kMaxDetails = 20;

/// Foreign numbers become kUnknown. A code's number is gRPC's.
StatusCode StatusCodeFromNumber(int code);

/// Cuts texts, and counts details beyond kMaxDetails in omitted_details.
graft::v1::ErrorInfo ToErrorInfo(const Status& status);
Status FromErrorInfo(const graft::v1::ErrorInfo& info);

/// Puts `prefix` and a dot before every detail's field path: the path inside a message becomes one
/// inside the request.
Status PrefixFields(Status status, std::string_view prefix);

/// Returns at most `max_bytes` of `text`, cut between characters, with "..." behind a cut. Bytes
/// that aren't UTF-8 become '?', since protobuf strings must be valid.
std::string CutText(std::string_view text, size_t max_bytes);

}  // namespace graft::proto
