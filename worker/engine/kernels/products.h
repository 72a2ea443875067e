#pragma once
/// Matrix products in the engine's compute type, by the kernel that is fastest at it on the device.
///
/// What has no gradient, as all that serves, goes through kernels/row_products.h where that is the
/// fastest.
///
/// Numerics: bf16 operands are multiplied exactly and summed in fp32; each result is rounded once.
/// CPUs that aren't fast at bf16 run such products over operands widened to fp32 on the fly, which
/// changes nothing of that: libtorch's own bf16 product took 1.7 times as long there. Which kernel
/// runs depends on shapes and the processor's kind alone.

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Whether products of `like`'s type and device are run in fp32.
bool WidensProducts(const at::Tensor& like);
/// The same where so many rows are multiplied by a matrix of the base.
bool WidensProducts(at::ScalarType type, at::Device device, int64_t rows);

/// x W^T + b in x's type. Differentiable; only x and W are kept for the backward pass, in their own
/// type.
/// Shapes: x [T, D], weight [F, D], bias [F] or undefined; returns [T, F]. Requires: one type.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// The same in `type`: x's, or fp32, into which sums go as they are, except where RoundsSums.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  at::ScalarType type);
/// Whether products of operands of the type are rounded to it though fp32 is asked for: no kernel
/// there gives the sums. Of fewer than 64 rows they may be elsewhere too.
bool RoundsSums(at::ScalarType operands, at::Device device);

/// a b in the operands' type. Not differentiable.
/// Shapes: a [M, K], b [K, N]; returns [M, N]. Requires: one type.
at::Tensor Product(const at::Tensor& a, const at::Tensor& b);

/// out += alpha a b. Not differentiable.
/// Shapes: a [M, K], b [K, N], out [M, N], which may be a view. Requires: a and b of one type, out
/// of theirs or fp32.
void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha = 1);

/// Measured speed of a 1024^3 product, in 1e9 floating-point operations a second; for estimates.
double MeasureGflops(at::Device device, at::ScalarType type);

}  // namespace graft::worker::engine
