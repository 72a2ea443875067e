#include "worker/engine/kernels/attention_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <ATen/ops/bmm.h>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/attention_rows.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Queries that are worked on at once: their scores and score gradients against some hundred keys
/// stay near, and the products around them are still large enough for a GEMM.
constexpr int64_t kTileRows = 256;

/// Heads of one sequence that share their products: one head's alone are so small that setting up
/// the call costs as much.
constexpr int64_t kMaxHeads = 4;

/// Some heads of one sequence: [N, n, H] views of a packed projection whose parts (q, k, v) are
/// `width` columns each.
struct HeadGroup {
  int64_t begin, length, first_head, heads, head_dim, width;
  int64_t most_heads;  ///< Of any group.

  at::Tensor Of(const at::Tensor& packed, int64_t part) const {
    const int64_t column = part * width + first_head * head_dim;
    return packed.as_strided({heads, length, head_dim}, {head_dim, packed.size(1), 1},
                             packed.storage_offset() + begin * packed.size(1) + column);
  }

  /// As many as any group from this one on works on at once: the longest sequences come first.
  int64_t Scores() const { return most_heads * std::min(kTileRows, length) * length; }
};

/// Calls `body(group, scratch)` for all heads of each sequence, longest sequences first, shared out
/// among the threads as they get free. What a group computes doesn't depend on who does it.
/// `scratch` is the thread's own, undefined at first.
template <typename Body>
void ForEachGroup(const std::vector<int64_t>& offsets, int64_t num_heads, int64_t width,
                  const Body& body) {
  const int64_t num_sequences = static_cast<int64_t>(offsets.size()) - 1;
  std::vector<int64_t> order(num_sequences);
  for (int64_t s = 0; s < num_sequences; ++s) order[s] = s;
  const auto length = [&](int64_t s) { return offsets[s + 1] - offsets[s]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return length(a) > length(b); });
  // Some tasks a thread, or one would wait for the other.
  const int64_t heads =
      std::clamp<int64_t>(num_sequences * num_heads / (4 * at::get_num_threads()), 1, kMaxHeads);
  const int64_t groups = (num_heads + heads - 1) / heads;
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    at::Tensor scratch;
    for (int64_t task = next++; task < num_sequences * groups; task = next++) {
      const int64_t s = order[task / groups];
      const int64_t first = task % groups * heads;
      body(HeadGroup{offsets[s], length(s), first, std::min(heads, num_heads - first),
                     width / num_heads, width, heads},
           scratch);
    }
  });
}

/// What a group's products run over: its part of a packed tensor, in fp32 where that is faster.
at::Tensor Operand(const at::Tensor& part) {
  return WidensProducts(part) ? part.to(at::kFloat).contiguous() : part.contiguous();
}

/// Memory of a thread for [N, rows, n] scores. `of` counts how many such share `scratch`.
at::Tensor Scores(const at::Tensor& scratch, int64_t index, int64_t of, int64_t heads, int64_t rows,
                  int64_t n) {
  return scratch.as_strided({heads, rows, n}, {rows * n, n, 1}, index * (scratch.numel() / of));
}

/// Sums what the tiles of a group contribute; in fp32 if there is more than one.
class TileSum {
 public:
  explicit TileSum(const at::Tensor& part) : part_(part) {}
  void Add(const at::Tensor& of_tile, bool only_tile) {
    if (only_tile) return void(part_.copy_(of_tile));
    sum_ = sum_.defined() ? sum_.add_(of_tile) : of_tile.to(at::kFloat);
  }
  void Keep() {
    if (sum_.defined()) part_.copy_(sum_);
  }

 private:
  at::Tensor part_, sum_;
};

/// `lse`: of this sequence's first row and the model's first head; a head's are `lse_stride` apart.
template <typename T>
void ForwardGroup(const HeadGroup& group, const at::Tensor& qkv, const at::Tensor& out, float* lse,
                  int64_t lse_stride, at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(group.head_dim)));
  const int64_t n = group.length;
  const at::Tensor q = Operand(group.Of(qkv, 0));
  const at::Tensor k_t = Operand(group.Of(qkv, 1)).transpose(1, 2);
  const at::Tensor v = Operand(group.Of(qkv, 2));
  const at::Tensor o = group.Of(out, 0);
  if (!scratch.defined()) scratch = at::empty({group.Scores()}, q.options());
  for (int64_t row = 0; row < n; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, n - row);
    at::Tensor p = Scores(scratch, 0, 1, group.heads, rows, n);
    at::bmm_out(p, q.narrow(1, row, rows), k_t);
    T* scores = p.mutable_data_ptr<T>();
    for (int64_t h = 0; h < group.heads; ++h) {
      float* lse_rows = lse + (group.first_head + h) * lse_stride + row;
      for (int64_t i = 0; i < rows; ++i)
        lse_rows[i] = SoftmaxRow(scores + (h * rows + i) * n, n, scale);
    }
    o.narrow(1, row, rows).copy_(at::bmm(p, v));
  }
}

/// Probabilities are computed again rather than kept: they would outgrow everything else that a
/// step holds.
template <typename T>
void BackwardGroup(const HeadGroup& group, const at::Tensor& qkv, const at::Tensor& d_out,
                   const float* lse, int64_t lse_stride, const at::Tensor& d_qkv,
                   at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(group.head_dim)));
  const int64_t n = group.length;
  const at::Tensor q = Operand(group.Of(qkv, 0));
  const at::Tensor k = Operand(group.Of(qkv, 1));
  const at::Tensor v_t = Operand(group.Of(qkv, 2)).transpose(1, 2);
  const at::Tensor d_o = Operand(group.Of(d_out, 0));
  const at::Tensor d_q = group.Of(d_qkv, 0);
  TileSum d_k(group.Of(d_qkv, 1)), d_v(group.Of(d_qkv, 2));
  if (!scratch.defined()) scratch = at::empty({2 * group.Scores()}, q.options());
  for (int64_t row = 0; row < n; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, n - row);
    const at::Tensor q_tile = q.narrow(1, row, rows);
    const at::Tensor d_o_tile = d_o.narrow(1, row, rows);
    at::Tensor p = Scores(scratch, 0, 2, group.heads, rows, n);
    at::Tensor d_s = Scores(scratch, 1, 2, group.heads, rows, n);
    at::bmm_out(p, q_tile, k.transpose(1, 2));
    at::bmm_out(d_s, d_o_tile, v_t);
    T* scores = p.mutable_data_ptr<T>();
    T* grads = d_s.mutable_data_ptr<T>();
    for (int64_t h = 0; h < group.heads; ++h) {
      const float* lse_rows = lse + (group.first_head + h) * lse_stride + row;
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t at = (h * rows + i) * n;
        SoftmaxBackwardRow(scores + at, grads + at, n, scale, lse_rows[i]);
      }
    }
    d_q.narrow(1, row, rows).copy_(at::bmm(d_s, k));
    d_k.Add(at::bmm(d_s.transpose(1, 2), q_tile), rows == n);
    d_v.Add(at::bmm(p.transpose(1, 2), d_o_tile), rows == n);
  }
  d_k.Keep();
  d_v.Keep();
}

/// Calls `body(T{})` for the type of scores.
template <typename Body>
void Dispatch(const at::Tensor& like, const Body& body) {
  const bool bf16 = like.scalar_type() == at::kBFloat16;
  TORCH_CHECK(bf16 || like.scalar_type() == at::kFloat, "attention takes float32 or bfloat16");
  if (bf16 && !WidensProducts(like)) return body(c10::BFloat16{});
  body(float{});
}

class Attention : public torch::autograd::Function<Attention> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv_in,
                            std::vector<int64_t> offsets, int64_t num_heads) {
    const at::Tensor qkv = qkv_in.contiguous();
    const int64_t width = qkv.size(1) / 3;
    const int64_t num_rows = qkv.size(0);
    const at::Tensor out = at::empty({num_rows, width}, qkv.options());
    const at::Tensor lse_NT = at::empty({num_heads, num_rows}, qkv.options().dtype(at::kFloat));
    auto* lse = lse_NT.mutable_data_ptr<float>();
    Dispatch(qkv, [&](auto tag) {
      ForEachGroup(offsets, num_heads, width, [&](const HeadGroup& group, at::Tensor& scratch) {
        ForwardGroup<decltype(tag)>(group, qkv, out, lse + group.begin, num_rows, scratch);
      });
    });
    ctx->save_for_backward({qkv, lse_NT});
    ctx->saved_data["offsets"] = std::move(offsets);
    ctx->saved_data["num_heads"] = num_heads;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const auto* lse = saved[1].const_data_ptr<float>();
    const at::Tensor d_out = grads[0].contiguous();
    const at::Tensor d_qkv = at::empty_like(qkv);
    const int64_t num_rows = qkv.size(0);
    Dispatch(qkv, [&](auto tag) {
      ForEachGroup(ctx->saved_data["offsets"].toIntVector(), ctx->saved_data["num_heads"].toInt(),
                   qkv.size(1) / 3, [&](const HeadGroup& group, at::Tensor& scratch) {
                     BackwardGroup<decltype(tag)>(group, qkv, d_out, lse + group.begin, num_rows,
                                                  d_qkv, scratch);
                   });
    });
    return {d_qkv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Attend(const at::Tensor& qkv_T3D, const std::vector<int64_t>& offsets,
                  int64_t num_heads) {
  return Attention::apply(qkv_T3D, offsets, num_heads);
}

}  // namespace graft::worker::engine::cpu
