#pragma once
/// Floating-point tensors as bytes: finite checks and conversion to fp32 without torch.

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::artifacts {

/// True if no value is NaN or infinite, also after a cast to bf16 (fp32 values near the top of the
/// range round up to infinity there).
/// Errors: InvalidArgument if `dtype` isn't F32, F16, BF16 or F64; `where` names the tensor.
StatusOr<bool> AllFinite(std::string_view dtype, std::string_view data, const std::string& where);

}  // namespace graft::artifacts
