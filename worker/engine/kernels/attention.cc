#include "worker/engine/kernels/attention.h"

#include <cmath>

#include "worker/engine/kernels/attention_cpu.h"

#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/repeat_interleave.h>

namespace graft::worker::engine {
namespace {

constexpr int64_t kHeadAlignment = 8;
/// Flash kernels take no larger heads.
constexpr int64_t kMaxFlashHead = 256;

at::Tensor PadHeads(const at::Tensor& x_TNH) {
  const int64_t rest = x_TNH.size(2) % kHeadAlignment;
  return rest == 0 ? x_TNH : at::constant_pad_nd(x_TNH, {0, kHeadAlignment - rest});
}

/// Variable-length attention of the CUDA libraries: queries of sequence s see the keys of sequence
/// s; masks are aligned to their ends. Differentiable.
/// Shapes: q [Tq, N, H], k and v [T, K, H] (views of a fused projection); returns [Tq, N * H].
at::Tensor AttendCuda(const at::Tensor& q_TNH, const at::Tensor& k_TKH, const at::Tensor& v_TKH,
                      const RowSet& queries, const RowSet& keys, const AttentionShape& shape) {
  const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          double scale) -> at::Tensor {
    // Typed, for a bare number or nullopt would fit several overloads of some versions of torch.
    const std::optional<double> scaled_by = scale;
    // The flash kernels take half types only.
    if (q.scalar_type() != at::kFloat && q.size(2) <= kMaxFlashHead) {
      std::optional<int64_t> left, right;
      if (shape.window > 0) left = shape.window - 1, right = 0;
      return std::get<0>(at::_flash_attention_forward(
          q, k, v, queries.offsets_device, keys.offsets_device, queries.longest, keys.longest,
          /*dropout_p=*/0.0, shape.causal, /*return_debug_mask=*/false, scaled_by, left, right));
    }
    // These kernels know no shared heads. Their mask 2 is causal, aligned to the ends.
    const auto share = [&](const at::Tensor& x) {
      const int64_t times = shape.heads / shape.kv_heads;
      return (times == 1 ? x : at::repeat_interleave(x, times, 1)).unsqueeze(0);
    };
    return std::get<0>(at::_efficient_attention_forward(
                           q.unsqueeze(0), share(k), share(v), std::optional<at::Tensor>{},
                           queries.offsets_device, keys.offsets_device, queries.longest,
                           keys.longest, /*dropout_p=*/0.0, shape.causal ? 2 : 0,
                           /*compute_log_sumexp=*/true, scaled_by))
        .squeeze(0);
  };
  return AttendAligned(q_TNH, k_TKH, v_TKH, attend).reshape({q_TNH.size(0), -1});
}

/// The same by plain operations, a sequence after the other: for what the libraries can't do.
at::Tensor AttendByOperations(const at::Tensor& q_TNH, const at::Tensor& k_TKH,
                              const at::Tensor& v_TKH, const RowSet& rows,
                              const AttentionShape& shape) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  const int64_t share = shape.heads / shape.kv_heads;
  std::vector<at::Tensor> parts;
  for (int64_t s = 0; s < rows.num_sequences(); ++s) {
    const int64_t n = rows.length(s);
    const auto heads = [&](const at::Tensor& x, int64_t times) {
      const at::Tensor part = x.narrow(0, rows.offsets[static_cast<size_t>(s)], n).transpose(0, 1);
      return times == 1 ? part : at::repeat_interleave(part, times, 0);
    };
    const at::Tensor distance = at::arange(n, q_TNH.options().dtype(at::kLong)).unsqueeze(1) -
                                at::arange(n, q_TNH.options().dtype(at::kLong)).unsqueeze(0);
    at::Tensor unseen = distance < 0;
    if (shape.window > 0) unseen = unseen | (distance >= shape.window);
    at::Tensor scores =
        at::bmm(heads(q_TNH, 1), heads(k_TKH, share).transpose(1, 2)).to(at::kFloat) * scale;
    if (shape.causal) scores = scores.masked_fill(unseen, -INFINITY);
    const at::Tensor p = at::softmax(scores, -1).to(q_TNH.scalar_type());
    parts.push_back(at::bmm(p, heads(v_TKH, share)).transpose(0, 1).reshape({n, -1}));
  }
  return at::cat(parts, 0);
}

/// True if the i-th query from the end of each sequence stands at the i-th key from the end.
bool AreLast(const RowSet& queries, const RowSet& keys) {
  for (int64_t s = 0; s < queries.num_sequences(); ++s) {
    if (queries.position(s, 0) + queries.length(s) != keys.length(s)) return false;
  }
  return true;
}

/// True where torch's fp32 kernels would have to know a window: their backward pass doesn't (2.11).
bool LacksWindow(const at::Tensor& q, const AttentionShape& shape) {
  return shape.window > 0 && (q.scalar_type() == at::kFloat || shape.head_dim > kMaxFlashHead);
}

at::Tensor AttendAll(const at::Tensor& q_TNH, const at::Tensor& k_TKH, const at::Tensor& v_TKH,
                     const RowSet& rows, const AttentionShape& shape) {
  return LacksWindow(q_TNH, shape) ? AttendByOperations(q_TNH, k_TKH, v_TKH, rows, shape)
                                   : AttendCuda(q_TNH, k_TKH, v_TKH, rows, rows, shape);
}

}  // namespace

at::Tensor AttendAligned(const at::Tensor& q_TNH, const at::Tensor& k_TKH, const at::Tensor& v_TKH,
                         const HeadKernel& attend) {
  const int64_t size = q_TNH.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(size));
  return attend(PadHeads(q_TNH), PadHeads(k_TKH), PadHeads(v_TKH), scale).narrow(2, 0, size);
}

at::Tensor Attend(const at::Tensor& qkv, const RowSet& rows, const AttentionShape& shape) {
  if (qkv.is_cpu()) return cpu::Attend(qkv, rows, shape);
  const at::Tensor heads = qkv.view({qkv.size(0), shape.heads + 2 * shape.kv_heads, -1});
  return AttendAll(heads.narrow(1, 0, shape.heads), heads.narrow(1, shape.heads, shape.kv_heads),
                   heads.narrow(1, shape.heads + shape.kv_heads, shape.kv_heads), rows, shape);
}

at::Tensor Attend(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                  const RowSet& keys, const AttentionShape& shape) {
  if (q.is_cpu()) return cpu::Attend(q, kv, queries, keys, shape);
  const at::Tensor heads = kv.view({kv.size(0), 2 * shape.kv_heads, -1});
  const at::Tensor k = heads.narrow(1, 0, shape.kv_heads);
  const at::Tensor v = heads.narrow(1, shape.kv_heads, shape.kv_heads);
  const at::Tensor q_RNH = q.view({q.size(0), shape.heads, -1});
  const bool aligned = !shape.causal || AreLast(queries, keys);
  if (aligned && !LacksWindow(q, shape)) return AttendCuda(q_RNH, k, v, queries, keys, shape);
  // The libraries' masks know no places of queries: all rows attend, and these are taken out.
  at::Tensor all = at::zeros({kv.size(0), shape.heads, shape.head_dim}, q.options());
  all = all.index_copy(0, queries.index_R, q_RNH);
  return AttendAll(all, k, v, keys, shape).index_select(0, queries.index_R);
}

}  // namespace graft::worker::engine
