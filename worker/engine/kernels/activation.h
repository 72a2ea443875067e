#pragma once
/// Activation functions by the names that config.json and adapter configs use.

#include <string_view>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Those of common/families/activations.h; besides "gelu_pytorch_tanh" ("gelu_new"), "swish"
/// ("silu") and "" (none). Requires: `name` passed the checks of families:: or methods::, which
/// refuse others.
at::Tensor Activate(const at::Tensor& x, std::string_view name);

/// act(gate) * up: the middle of a gated feed-forward (arXiv:2002.05202); differentiable.
/// Shapes: gate_up [T, 2 F], columns gate | up; returns [T, F].
at::Tensor Gated(const at::Tensor& gate_up, std::string_view activation);

}  // namespace graft::worker::engine
