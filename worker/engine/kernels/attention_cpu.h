#pragma once
/// Attention over packed sequences on the CPU. libtorch has no variable-length kernel there, and
/// its flash kernel is slow at the head sizes of small encoders.

#include <cstdint>
#include <vector>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine::cpu {

/// See engine::Attend. `offsets` [S+1].
at::Tensor Attend(const at::Tensor& qkv_T3D, const std::vector<int64_t>& offsets,
                  int64_t num_heads);

/// See engine::AttendPooled.
at::Tensor AttendPooled(const at::Tensor& q_SD, const at::Tensor& kv_T2D,
                        const std::vector<int64_t>& offsets, int64_t num_heads);

}  // namespace graft::worker::engine::cpu
