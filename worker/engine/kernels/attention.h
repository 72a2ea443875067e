#pragma once
/// Self-attention over a packed batch: every sequence attends to itself, nothing to padding, for
/// there is none.

#include <functional>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/rows.h"

namespace graft::worker::engine {

/// How heads attend. N query heads share K key-value heads, N / K neighbours one (grouped-query
/// attention, arXiv:2305.13245).
struct AttentionShape {
  int64_t heads = 0;     ///< N, a multiple of kv_heads.
  int64_t kv_heads = 0;  ///< K
  int64_t head_dim = 0;  ///< H
  bool causal = false;   ///< A row sees itself and those in front of it, else its whole sequence.
  int64_t window = 0;    ///< The last so many of those, itself among them; 0: all. Causal only.
};

/// Attends for all rows; differentiable.
/// Shapes: qkv [T, (N + 2 K) H], columns q | k | v; returns [T, N H].
/// Numerics: softmax(q k^T / sqrt(H)) v; softmax in fp32.
at::Tensor Attend(const at::Tensor& qkv, const RowSet& rows, const AttentionShape& shape);

/// Attends for some rows only; differentiable. Shapes: q [R, N H] of the rows `queries`, kv [T, 2 K
/// H] of all rows `keys`, columns k | v; returns [R, N H].
at::Tensor Attend(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                  const RowSet& keys, const AttentionShape& shape);

/// Attention of a GPU library over heads of any size: pads them with zeros to a multiple of 8,
/// which its kernels ask for, and cuts the result; zeros change no score, and the scale is that of
/// the true size. Differentiable if `attend` is. Shapes: q [Tq, N, H], k and v [T, K, H], given to
/// `attend` with H rounded up, as they are if it is a multiple of 8; returns [Tq, N, H].
using HeadKernel = std::function<at::Tensor(const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, double scale)>;
at::Tensor AttendAligned(const at::Tensor& q_TNH, const at::Tensor& k_TKH, const at::Tensor& v_TKH,
                         const HeadKernel& attend);

}  // namespace graft::worker::engine
