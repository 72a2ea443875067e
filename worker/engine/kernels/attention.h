#pragma once
/// Self-attention over a packed batch: every sequence attends to itself, nothing to padding, for
/// there is none. A family hands over projections; how rows are grouped is the batch's business.

#include <functional>

#include "worker/engine/device/tensor.h"
#include "worker/engine/model/batch.h"

namespace graft::worker::engine {

/// Attends for all rows; differentiable.
/// Shapes: qkv [T, 3 * N * H], rows packed as in `batch`, columns q | k | v; returns [T, N * H].
/// Numerics: softmax(q k^T / sqrt(H)) v; softmax in fp32.
at::Tensor Attend(const at::Tensor& qkv_T3D, const PackedBatch& batch, int64_t num_heads);

/// Attends for the first row of each sequence only: what a classifier's last layer needs;
/// differentiable.
/// Shapes: q [S, N * H], kv [T, 2 * N * H], columns k | v; returns [S, N * H].
at::Tensor AttendPooled(const at::Tensor& q_SD, const at::Tensor& kv_T2D, const PackedBatch& batch,
                        int64_t num_heads);

/// Attention of a GPU library over heads of any size: pads them with zeros to a multiple of 8,
/// which its kernels ask for, and cuts the result; zeros change no score, and the scale is that of
/// the true size. Differentiable if `attend` is. Shapes: q [Tq, N, H], k and v [T, N, H], given to
/// `attend` with H rounded up, as they are if it is a multiple of 8; returns [Tq, N, H].
using HeadKernel = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, double scale)>;
at::Tensor AttendAligned(const at::Tensor& q_TNH, const at::Tensor& k_TNH, const at::Tensor& v_TNH,
                         const HeadKernel& attend);

}  // namespace graft::worker::engine
