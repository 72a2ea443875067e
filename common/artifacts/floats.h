#pragma once
/// Stored floats of any type to fp32 and back. Thread safety: free functions.

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::artifacts {

/// Little-endian F32, F16, BF16 or F64 as fp32. Errors: InvalidArgument for another type.
StatusOr<std::vector<float>> ToFloats(std::string_view dtype, std::string_view data);

/// The same back, rounded half to even.
StatusOr<std::string> FromFloats(std::string_view dtype, const std::vector<float>& values);

}  // namespace graft::artifacts
