#pragma once
/// Dropout whose mask depends on (seed, step, site, example, position, column) only: not on batch,
/// order or device.

#include "worker/engine/adapters/adapter.h"

namespace graft::worker::engine {

/// Returns x with each element zeroed with probability p, the others scaled by 1 / (1 - p).
/// Shapes: x [t, D] for the rows that `rows` describes. `site` tells modules apart.
at::Tensor Dropout(const at::Tensor& x, double p, uint64_t site, const RowContext& rows);

}  // namespace graft::worker::engine
