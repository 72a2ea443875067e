#pragma once
/// What every list method checks the same way.

#include <cstdint>

#include "common/base/status.h"

namespace graft::server::service {

inline constexpr size_t kDefaultPageSize = 50;
inline constexpr int32_t kMaxPageSize = 1000;

/// 0 means the default.
inline StatusOr<size_t> PageSize(int32_t requested) {
  if (requested < 0 || requested > kMaxPageSize) {
    return InvalidArgumentError("page_size must lie between 1 and 1000").At("page_size");
  }
  return requested == 0 ? kDefaultPageSize : static_cast<size_t>(requested);
}

}  // namespace graft::server::service
