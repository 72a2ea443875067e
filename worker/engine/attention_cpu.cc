#include "worker/engine/attention_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include "worker/engine/attention_rows.h"
#include "worker/engine/products.h"

namespace graft::worker::engine::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Queries of one head that are worked on at once: their scores and score gradients against some
/// hundred keys stay in the second-level cache, and the products around them are still large enough
/// for a GEMM.
constexpr int64_t kTileRows = 256;

/// One head of one sequence as a [n, H] view of a packed projection whose parts (q, k, v) are
/// `width` columns each.
struct Head {
  int64_t begin, length, column, head_dim, width;

  at::Tensor Of(const at::Tensor& packed, int64_t part) const {
    return packed.as_strided(
        {length, head_dim}, {packed.size(1), 1},
        packed.storage_offset() + begin * packed.size(1) + part * width + column);
  }
};

/// Calls `body(head, index, scratch)` for each head of each sequence, longest sequences first,
/// shared out among the threads as they get free. What a head computes doesn't depend on who does
/// it. `scratch` is the thread's own, undefined at first.
template <typename Body>
void ForEachHead(const std::vector<int64_t>& offsets, int64_t num_heads, int64_t width,
                 const Body& body) {
  const int64_t num_sequences = static_cast<int64_t>(offsets.size()) - 1;
  std::vector<int64_t> order(num_sequences);
  for (int64_t s = 0; s < num_sequences; ++s) order[s] = s;
  const auto length = [&](int64_t s) { return offsets[s + 1] - offsets[s]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return length(a) > length(b); });
  const int64_t head_dim = width / num_heads;
  const int64_t num_tasks = num_sequences * num_heads;
  const auto run = [&](std::atomic<int64_t>& next) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    at::Tensor scratch;
    for (int64_t task = next++; task < num_tasks; task = next++) {
      const int64_t s = order[task / num_heads];
      const int64_t head = task % num_heads;
      body(Head{offsets[s], length(s), head * head_dim, head_dim, width}, head, scratch);
    }
  };
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) { run(next); });
}

/// What a head's products run over: its part of a packed tensor, in fp32 where that is faster.
at::Tensor Operand(const at::Tensor& part) {
  return WidensProducts(part) ? part.to(at::kFloat) : part;
}

/// Where a head's result is computed; `part` itself unless it is kept narrower than its products.
at::Tensor Result(const at::Tensor& part) {
  return WidensProducts(part) ? at::empty(part.sizes(), part.options().dtype(at::kFloat)) : part;
}

void Keep(const at::Tensor& result, const at::Tensor& part) {
  if (!result.is_same(part)) part.copy_(result);
}

/// A [rows, columns] corner of a thread's scratch.
at::Tensor Corner(const at::Tensor& scratch, int64_t rows, int64_t columns) {
  return scratch.as_strided({rows, columns}, {columns, 1});
}

template <typename T>
void ForwardHead(const Head& head, const at::Tensor& qkv, const at::Tensor& out, float* lse,
                 at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head.head_dim)));
  const int64_t n = head.length;
  const at::Tensor q = Operand(head.Of(qkv, 0));
  const at::Tensor k_t = Operand(head.Of(qkv, 1)).t();
  const at::Tensor v = Operand(head.Of(qkv, 2));
  const at::Tensor o_part = head.Of(out, 0);
  const at::Tensor o = Result(o_part);
  if (!scratch.defined()) scratch = at::empty({kTileRows * n}, q.options());
  for (int64_t row = 0; row < n; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, n - row);
    at::Tensor p = Corner(scratch, rows, n);
    at::mm_out(p, q.narrow(0, row, rows), k_t);
    T* scores = p.mutable_data_ptr<T>();
    for (int64_t i = 0; i < rows; ++i) lse[row + i] = SoftmaxRow(scores + i * n, n, scale);
    at::Tensor o_tile = o.narrow(0, row, rows);
    at::mm_out(o_tile, p, v);
  }
  Keep(o, o_part);
}

/// Probabilities are computed again rather than kept: they would outgrow everything else that a
/// step holds.
template <typename T>
void BackwardHead(const Head& head, const at::Tensor& qkv, const at::Tensor& d_out,
                  const float* lse, const at::Tensor& d_qkv, at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head.head_dim)));
  const int64_t n = head.length;
  const int64_t tile = kTileRows * n;
  const at::Tensor q = Operand(head.Of(qkv, 0));
  const at::Tensor k = Operand(head.Of(qkv, 1));
  const at::Tensor v = Operand(head.Of(qkv, 2));
  const at::Tensor d_o = Operand(head.Of(d_out, 0));
  const at::Tensor d_q_part = head.Of(d_qkv, 0);
  const at::Tensor d_k_part = head.Of(d_qkv, 1);
  const at::Tensor d_v_part = head.Of(d_qkv, 2);
  const at::Tensor d_q = Result(d_q_part);
  at::Tensor d_k = Result(d_k_part);
  at::Tensor d_v = Result(d_v_part);
  if (!scratch.defined()) scratch = at::empty({2 * tile}, q.options());
  for (int64_t row = 0; row < n; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, n - row);
    const at::Tensor q_tile = q.narrow(0, row, rows);
    const at::Tensor d_o_tile = d_o.narrow(0, row, rows);
    at::Tensor p = Corner(scratch, rows, n);
    at::Tensor d_s = Corner(scratch.narrow(0, scratch.numel() / 2, tile), rows, n);
    at::mm_out(p, q_tile, k.t());
    at::mm_out(d_s, d_o_tile, v.t());
    T* scores = p.mutable_data_ptr<T>();
    T* grads = d_s.mutable_data_ptr<T>();
    for (int64_t i = 0; i < rows; ++i)
      SoftmaxBackwardRow(scores + i * n, grads + i * n, n, scale, lse[row + i]);
    at::Tensor d_q_tile = d_q.narrow(0, row, rows);
    at::mm_out(d_q_tile, d_s, k);
    if (row == 0) {
      at::mm_out(d_k, d_s.t(), q_tile);
      at::mm_out(d_v, p.t(), d_o_tile);
    } else {
      at::addmm_out(d_k, d_k, d_s.t(), q_tile);
      at::addmm_out(d_v, d_v, p.t(), d_o_tile);
    }
  }
  Keep(d_q, d_q_part);
  Keep(d_k, d_k_part);
  Keep(d_v, d_v_part);
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
      ForEachHead(offsets, num_heads, width,
                  [&](const Head& head, int64_t index, at::Tensor& scratch) {
                    ForwardHead<decltype(tag)>(head, qkv, out, lse + index * num_rows + head.begin,
                                               scratch);
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
      ForEachHead(ctx->saved_data["offsets"].toIntVector(), ctx->saved_data["num_heads"].toInt(),
                  qkv.size(1) / 3, [&](const Head& head, int64_t index, at::Tensor& scratch) {
                    BackwardHead<decltype(tag)>(
                        head, qkv, d_out, lse + index * num_rows + head.begin, d_qkv, scratch);
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
