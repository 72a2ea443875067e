#pragma once
/// Bytes of safetensors to tensors.

#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Copies row-major little-endian values of `dtype` (F32, F16, BF16, F64) into a new fp32 tensor on
/// the CPU.
/// Errors: InvalidArgument for another type or if the size doesn't fit the shape.
StatusOr<at::Tensor> BytesToFloat(std::string_view dtype, const std::vector<int64_t>& shape,
                                  std::string_view bytes);

}  // namespace graft::worker::engine
