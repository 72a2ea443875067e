#pragma once
/// What a status says besides its sentence.

#include <string>

#include "common/base/status.h"

namespace graft {

/// The field path of the first detail; empty if it has none.
inline std::string FieldOf(const Status& status) {
  return status.details().empty() ? "" : status.details().front().field;
}

/// The reason of the first detail; empty if it has none.
inline std::string ReasonOf(const Status& status) {
  return status.details().empty() ? "" : status.details().front().reason;
}

}  // namespace graft
