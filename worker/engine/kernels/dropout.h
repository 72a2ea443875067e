#pragma once
/// Dropout whose mask is drawn by row from graft's counter-based generator: it depends on no batch,
/// order or device.

#include <cstdint>
#include <vector>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Returns x with each element zeroed with probability p, the others scaled by 1 / (1 - p).
/// Shapes: x [t, D]; `streams[i]` is the substream of `seed` that row i draws from.
at::Tensor Dropout(const at::Tensor& x, double p, uint64_t seed,
                   const std::vector<uint64_t>& streams);

}  // namespace graft::worker::engine
