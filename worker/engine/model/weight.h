#pragma once
/// An operand of a family's forward pass, found by name once, when its model is made.

#include <string>
#include <vector>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Tensors of the base that a pass reads as one: a matrix or a vector, or several matrices one
/// above the other, [sum of rows, in], as one GEMM wants them.
struct Weight {
  std::vector<std::string> names;  ///< In the base; an overlay may replace each.
  at::Tensor plain;                ///< As the base has it, in the type that passes read.
};

}  // namespace graft::worker::engine
