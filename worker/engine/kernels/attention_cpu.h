#pragma once
/// Attention over packed sequences on the CPU. libtorch has no variable-length kernel there, and
/// its flash kernel is slow at the head sizes of small encoders.

#include <algorithm>
#include <utility>

#include <ATen/core/ivalue.h>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/attention.h"

namespace graft::worker::engine::cpu {

/// See engine::Attend.
at::Tensor Attend(const at::Tensor& qkv, const RowSet& rows, const AttentionShape& shape);
/// See engine::Attend. One query of each sequence has a kernel of its own.
at::Tensor Attend(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                  const RowSet& keys, const AttentionShape& shape);

/// For one query of each sequence: what a classifier's last layer and the next token need.
at::Tensor AttendOne(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                     const RowSet& keys, const AttentionShape& shape);

/// The keys [begin, end) of its sequence that a query at `position` sees.
struct KeyRange {
  int64_t begin, end;
  KeyRange(const AttentionShape& shape, int64_t position, int64_t keys)
      : begin(shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0),
        end(shape.causal ? position + 1 : keys) {}
};

/// What a backward pass needs to know of its forward pass beside tensors.
struct AttentionCall : torch::CustomClassHolder {
  AttentionCall(RowSet of_queries, RowSet of_keys, const AttentionShape& of_heads)
      : queries(std::move(of_queries)), keys(std::move(of_keys)), shape(of_heads) {}
  const RowSet queries, keys;
  const AttentionShape shape;
};

}  // namespace graft::worker::engine::cpu
