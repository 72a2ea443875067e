#pragma once
/// Norms over rows with weights that stay in fp32.

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Normalises each row and applies weight and bias; differentiable in all three.
/// Shapes: x [T, D] any type, weight and bias [D] fp32; returns [T, D] in x's type.
/// Numerics: mean and variance in fp32 whatever x's type. Narrow rows meet fp32 weights on the CPU;
/// CUDA's kernel knows one type only, so there the weights are rounded to x's.
at::Tensor LayerNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, const at::Tensor& bias_D,
                     double eps);

/// x / sqrt(mean(x^2) + eps) * weight, rounded once to `out`; differentiable in both. Shapes and
/// numerics as above. Requires: x in fp32 or `out`'s type, which is fp32 or bf16.
/// Source: arXiv:1910.07467; transformers' LlamaRMSNorm.
at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps,
                   at::ScalarType out);

}  // namespace graft::worker::engine
