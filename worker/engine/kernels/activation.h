#pragma once
/// Activation functions by the names that config.json and adapter configs use.

#include <string_view>

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Those of common/families/activations.h; besides "gelu_pytorch_tanh" ("gelu_new"), "swish"
/// ("silu") and "" (none). Requires: `name` passed the checks of families:: or methods::, which
/// refuse others.
at::Tensor Activate(const at::Tensor& x, std::string_view name);

/// act(gate) * up in `out`'s type: the middle of a gated feed-forward (arXiv:2002.05202);
/// differentiable. On the CPU with silu, and of an fp32 gate_up, rounded once; else the activation
/// is rounded too. Shapes: gate_up [T, 2 F], columns gate | up; returns [T, F].
/// Requires: gate_up in fp32 or `out`'s type, which is fp32 or bf16.
at::Tensor Gated(const at::Tensor& gate_up, std::string_view activation, at::ScalarType out);

}  // namespace graft::worker::engine
