#pragma once
/// How a client's stream of bytes says that it is whole: gRPC tells a server that reads "no more
/// messages" for a client that finished and, at times, for one that went away.

#include <string>

#include <fmt/format.h>

#include "common/base/sha256.h"
#include "common/base/status.h"

namespace graft::server::service {

inline Status CheckDeclaredHash(const std::string& sha256) {
  if (IsSha256Hex(sha256)) return OkStatus();
  return InvalidArgumentError("the stream's last message has its chunks' SHA-256 as 64 hex digits")
      .At("sha256");
}

/// INVALID_ARGUMENT: the stream ended without a hash.
inline Status BrokenOff() {
  return InvalidArgumentError(
             "the stream broke off: behind its last chunk comes the SHA-256 of all of them")
      .At("sha256");
}

/// DATA_LOSS: other bytes arrived than were sent.
inline Status ChangedOnTheWay(const std::string& arrived, const std::string& declared) {
  return DataLossError(fmt::format("the bytes that arrived have the SHA-256 {}, not {}; send again",
                                   arrived, declared))
      .At("sha256");
}

}  // namespace graft::server::service
