#pragma once
/// Attention of sequences of some hundred tokens in bf16, without a library's calls: each product
/// around a head's scores is so small that setting one up takes longer. Scores stay in fp32 from
/// their product to their softmax. See attention_cpu.h.

#include <c10/util/BFloat16.h>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/attention.h"

namespace graft::worker::engine::cpu {

/// Columns of a packed tensor, the heads side by side: row r's numbers of head h begin at
/// data + r * stride + h * head_dim.
struct HeadColumns {
  c10::BFloat16* data = nullptr;
  int64_t stride = 0;
};

/// Queries, keys and values, or their gradients.
struct AttentionColumns {
  HeadColumns q, k, v;
};

/// Whether these are the fastest here. Depends on the processor's kind, the type and the longest
/// sequence alone.
bool TakesTiles(const at::Tensor& q, const RowSet& keys, const AttentionShape& shape);

/// Writes `out` [R, N H] and the lse of each row of scores, [N, R].
void AttendTiles(const AttentionColumns& in, const RowSet& queries, const RowSet& keys,
                 const AttentionShape& shape, const HeadColumns& out, float* lse);

/// Writes the gradients `d_in` of `in` from that of `out`; all rows of them.
void AttendTilesBackward(const AttentionColumns& in, const RowSet& queries, const RowSet& keys,
                         const AttentionShape& shape, const HeadColumns& d_out, const float* lse,
                         const AttentionColumns& d_in);

}  // namespace graft::worker::engine::cpu
