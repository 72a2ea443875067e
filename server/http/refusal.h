#pragma once
/// Why a request gets no further before it is a call.

#include <string>

#include "common/base/status.h"

namespace graft::server::http {

struct Refusal {
  int status = 400;     ///< Of HTTP.
  std::string message;  ///< What is wrong and what to do.
  std::string code;     ///< For programs: "invalid_request".
  std::string allow;    ///< With 405: the methods that there are.
};

/// As which code the metrics count it.
inline StatusCode CodeOf(const Refusal& refusal) {
  switch (refusal.status) {
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
    case 405:
      return StatusCode::kNotFound;
    case 408:
      return StatusCode::kDeadlineExceeded;
    case 413:
    case 431:
    case 503:
      return StatusCode::kResourceExhausted;
    case 501:
    case 505:
      return StatusCode::kUnimplemented;
    default:
      return StatusCode::kInvalidArgument;
  }
}

}  // namespace graft::server::http
