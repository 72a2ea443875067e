#pragma once
/// What tests set up with calls that mustn't fail.

#include <stdexcept>
#include <utility>

#include "common/base/status.h"

namespace graft::testing {

/// Unwraps or throws: gtest reports an exception as the test's failure, with its text.
template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return std::move(value).value();
}

inline void Must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace graft::testing
