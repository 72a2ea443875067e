#include "worker/engine/kernels/attention_cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include <ATen/ops/bmm.h>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/attention_rows.h"
#include "worker/engine/kernels/attention_tiles_cpu.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Rows of scores that are worked on at once: they and their gradients against some hundred keys
/// stay near, and the products around them are still large enough for a GEMM.
constexpr int64_t kTileRows = 256;

/// Query heads of one sequence that share their products: one head's alone are so small that
/// setting up the call costs as much.
constexpr int64_t kMaxHeads = 4;

/// Queries, keys and values as columns of one tensor or of two, and their gradients likewise.
struct Operands {
  at::Tensor q, kv;  ///< The same tensor if they are packed in one.
  int64_t k_column = 0, v_column = 0;

  static Operands Of(const at::Tensor& q, const at::Tensor& kv, const AttentionShape& shape) {
    const int64_t k_column = kv.defined() ? 0 : shape.heads * shape.head_dim;
    return {q, kv.defined() ? kv : q, k_column, k_column + shape.kv_heads * shape.head_dim};
  }
  AttentionColumns Columns() const {
    const HeadColumns keys = ColumnsOf(kv);
    return {ColumnsOf(q), {keys.data + k_column, keys.stride}, {keys.data + v_column, keys.stride}};
  }
  /// Requires: bf16.
  static HeadColumns ColumnsOf(const at::Tensor& x) {
    return {static_cast<c10::BFloat16*>(x.data_ptr()), x.stride(0)};
  }
};

/// Some key-value heads of one sequence, `share` query heads each.
struct HeadGroup {
  int64_t sequence;
  int64_t q_begin, queries, k_begin, keys;
  int64_t first, heads, share, head_dim;
  int64_t most_heads;  ///< Of any group.

  /// [heads, share, queries, H]
  at::Tensor Queries(const at::Tensor& x) const {
    return x.as_strided({heads, share, queries, head_dim},
                        {share * head_dim, head_dim, x.size(1), 1},
                        x.storage_offset() + q_begin * x.size(1) + first * share * head_dim);
  }
  /// [heads, keys, H]
  at::Tensor Keys(const at::Tensor& x, int64_t column) const {
    return x.as_strided({heads, keys, head_dim}, {head_dim, x.size(1), 1},
                        x.storage_offset() + k_begin * x.size(1) + column + first * head_dim);
  }
  int64_t tile_rows() const { return std::max<int64_t>(1, kTileRows / share); }
  /// As many as any group from this one on works on at once: those with most keys come first.
  int64_t Scores() const { return most_heads * share * std::min(tile_rows(), keys) * keys; }
};

/// Calls `body(group, scratch)` for all heads of each sequence, longest sequences first, shared out
/// among the threads as they get free. What a group computes doesn't depend on who does it.
/// `scratch` is the thread's own, undefined at first.
template <typename Body>
void ForEachGroup(const RowSet& queries, const RowSet& keys, const AttentionShape& shape,
                  const Body& body) {
  const int64_t num_sequences = keys.num_sequences();
  std::vector<int64_t> order(num_sequences);
  for (int64_t s = 0; s < num_sequences; ++s) order[s] = s;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return keys.length(a) > keys.length(b); });
  // Some tasks a thread, or one would wait for the other.
  const int64_t share = shape.heads / shape.kv_heads;
  const int64_t heads =
      std::clamp<int64_t>(num_sequences * shape.kv_heads / (4 * at::get_num_threads()), 1,
                          std::max<int64_t>(1, kMaxHeads / share));
  const int64_t groups = (shape.kv_heads + heads - 1) / heads;
  std::atomic<int64_t> next{0};
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    at::Tensor scratch;
    for (int64_t task = next++; task < num_sequences * groups; task = next++) {
      const int64_t s = order[task / groups];
      const int64_t first = task % groups * heads;
      body(HeadGroup{s, queries.offsets[s], queries.length(s), keys.offsets[s], keys.length(s),
                     first, std::min(heads, shape.kv_heads - first), share, shape.head_dim, heads},
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

/// Some of a group's queries, and the keys [begin, end) that they see between them.
struct Tile {
  int64_t row, rows, begin, end;

  Tile(const HeadGroup& group, const RowSet& queries, const AttentionShape& shape, int64_t from)
      : row(from), rows(std::min(group.tile_rows(), group.queries - from)) {
    const int64_t s = group.sequence;
    begin = KeyRange(shape, queries.position(s, row), group.keys).begin;
    end = KeyRange(shape, queries.position(s, row + rows - 1), group.keys).end;
  }
  int64_t keys() const { return end - begin; }
  at::Tensor KeysOf(const at::Tensor& x_NTH) const { return x_NTH.narrow(1, begin, keys()); }
  /// [N, share * rows, H]
  at::Tensor QueriesOf(const at::Tensor& x, const HeadGroup& group) const {
    return x.narrow(2, row, rows).reshape({group.heads, group.share * rows, group.head_dim});
  }
  void KeepQueries(const at::Tensor& from, const at::Tensor& to, const HeadGroup& group) const {
    to.narrow(2, row, rows).copy_(from.view({group.heads, group.share, rows, group.head_dim}));
  }
};

/// Calls `body(scores, n, lse)` for each row of scores of a tile: the `n` that its query sees,
/// `scores` counting from the tile's first, and where its lse stands. lse [N, queries of all].
template <typename Body>
void ForEachRow(const HeadGroup& group, const Tile& tile, const RowSet& queries,
                const AttentionShape& shape, const Body& body) {
  for (int64_t h = 0; h < group.heads * group.share; ++h) {
    for (int64_t i = 0; i < tile.rows; ++i) {
      const KeyRange seen(shape, queries.position(group.sequence, tile.row + i), group.keys);
      body((h * tile.rows + i) * tile.keys(), seen.begin - tile.begin, seen.end - tile.begin,
           (group.first * group.share + h) * queries.size() + group.q_begin + tile.row + i);
    }
  }
}

template <typename T>
void ClearUnseen(T* row, int64_t begin, int64_t end, int64_t n) {
  std::fill(row, row + begin, T(0.0F));
  std::fill(row + end, row + n, T(0.0F));
}

/// Sums what the tiles of a group contribute to its keys; in fp32 if there is more than one.
class TileSum {
 public:
  explicit TileSum(const at::Tensor& part) : part_(part) {}
  void Add(const at::Tensor& of_tile, const Tile& tile, bool only_tile) {
    const bool whole = tile.keys() == part_.size(1);
    if (only_tile && whole) return void(part_.copy_(of_tile));
    if (!sum_.defined() && whole) return void(sum_ = of_tile.to(at::kFloat));
    if (!sum_.defined()) sum_ = at::zeros(part_.sizes(), part_.options().dtype(at::kFloat));
    tile.KeysOf(sum_).add_(of_tile);
  }
  void Keep() {
    if (sum_.defined()) part_.copy_(sum_);
  }

 private:
  at::Tensor part_, sum_;
};

template <typename T>
void ForwardGroup(const HeadGroup& group, const Operands& in, const RowSet& queries,
                  const AttentionShape& shape, const at::Tensor& out, float* lse,
                  at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(group.head_dim)));
  const at::Tensor q = Operand(group.Queries(in.q));
  const at::Tensor k = Operand(group.Keys(in.kv, in.k_column));
  const at::Tensor v = Operand(group.Keys(in.kv, in.v_column));
  const at::Tensor o = group.Queries(out);
  if (!scratch.defined()) scratch = at::empty({group.Scores()}, q.options());
  for (int64_t row = 0; row < group.queries; row += group.tile_rows()) {
    const Tile tile(group, queries, shape, row);
    at::Tensor p = Scores(scratch, 0, 1, group.heads, group.share * tile.rows, tile.keys());
    at::bmm_out(p, tile.QueriesOf(q, group), tile.KeysOf(k).transpose(1, 2));
    T* scores = p.mutable_data_ptr<T>();
    ForEachRow(group, tile, queries, shape, [&](int64_t at, int64_t begin, int64_t end, int64_t l) {
      lse[l] = SoftmaxRow(scores + at + begin, end - begin, scale);
      ClearUnseen(scores + at, begin, end, tile.keys());
    });
    tile.KeepQueries(at::bmm(p, tile.KeysOf(v)), o, group);
  }
}

/// Probabilities are computed again rather than kept: they would outgrow everything else that a
/// step holds.
template <typename T>
void BackwardGroup(const HeadGroup& group, const Operands& in, const RowSet& queries,
                   const AttentionShape& shape, const at::Tensor& d_out, const float* lse,
                   const Operands& d_in, at::Tensor& scratch) {
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(group.head_dim)));
  const at::Tensor q = Operand(group.Queries(in.q));
  const at::Tensor k = Operand(group.Keys(in.kv, in.k_column));
  const at::Tensor v = Operand(group.Keys(in.kv, in.v_column));
  const at::Tensor d_o = Operand(group.Queries(d_out));
  const at::Tensor d_q = group.Queries(d_in.q);
  TileSum d_k(group.Keys(d_in.kv, in.k_column)), d_v(group.Keys(d_in.kv, in.v_column));
  if (!scratch.defined()) scratch = at::empty({2 * group.Scores()}, q.options());
  for (int64_t row = 0; row < group.queries; row += group.tile_rows()) {
    const Tile tile(group, queries, shape, row);
    const int64_t rows = group.share * tile.rows;
    const at::Tensor q_tile = tile.QueriesOf(q, group);
    const at::Tensor d_o_tile = tile.QueriesOf(d_o, group);
    at::Tensor p = Scores(scratch, 0, 2, group.heads, rows, tile.keys());
    at::Tensor d_s = Scores(scratch, 1, 2, group.heads, rows, tile.keys());
    at::bmm_out(p, q_tile, tile.KeysOf(k).transpose(1, 2));
    at::bmm_out(d_s, d_o_tile, tile.KeysOf(v).transpose(1, 2));
    T* scores = p.mutable_data_ptr<T>();
    T* grads = d_s.mutable_data_ptr<T>();
    ForEachRow(group, tile, queries, shape, [&](int64_t at, int64_t begin, int64_t end, int64_t l) {
      SoftmaxBackwardRow(scores + at + begin, grads + at + begin, end - begin, scale, lse[l]);
      ClearUnseen(scores + at, begin, end, tile.keys());
      ClearUnseen(grads + at, begin, end, tile.keys());
    });
    tile.KeepQueries(at::bmm(d_s, tile.KeysOf(k)), d_q, group);
    const bool only = tile.rows == group.queries;
    d_k.Add(at::bmm(d_s.transpose(1, 2), q_tile), tile, only);
    d_v.Add(at::bmm(p.transpose(1, 2), d_o_tile), tile, only);
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
  /// Without `kv_in`, `q_in` holds all.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in,
                            const std::optional<at::Tensor>& kv_in,
                            const c10::intrusive_ptr<AttentionCall>& call) {
    const AttentionShape& shape = call->shape;
    const at::Tensor q = q_in.contiguous();
    const at::Tensor kv = kv_in ? kv_in->contiguous() : at::Tensor();
    const Operands in = Operands::Of(q, kv, shape);
    const at::Tensor out = at::empty({q.size(0), shape.heads * shape.head_dim}, q.options());
    const at::Tensor lse_NR = at::empty({shape.heads, q.size(0)}, q.options().dtype(at::kFloat));
    auto* lse = lse_NR.mutable_data_ptr<float>();
    if (TakesTiles(q, call->keys, shape)) {
      AttendTiles(in.Columns(), call->queries, call->keys, shape, Operands::ColumnsOf(out), lse);
    } else {
      Dispatch(q, [&](auto tag) {
        ForEachGroup(call->queries, call->keys, shape,
                     [&](const HeadGroup& group, at::Tensor& own) {
                       ForwardGroup<decltype(tag)>(group, in, call->queries, shape, out, lse, own);
                     });
      });
    }
    ctx->save_for_backward({q, kv, lse_NR});
    ctx->saved_data["call"] = at::IValue::make_capsule(call);
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto held = ctx->saved_data["call"].toCapsule();
    const auto& call = static_cast<const AttentionCall&>(*held);
    const Operands in = Operands::Of(saved[0], saved[1], call.shape);
    const auto* lse = saved[2].const_data_ptr<float>();
    const at::Tensor d_out = grads[0].contiguous();
    const at::Tensor d_q = at::empty_like(in.q);
    const at::Tensor d_kv = saved[1].defined() ? at::empty_like(in.kv) : at::Tensor();
    const Operands d_in = Operands::Of(d_q, d_kv, call.shape);
    if (TakesTiles(in.q, call.keys, call.shape)) {
      AttendTilesBackward(in.Columns(), call.queries, call.keys, call.shape,
                          Operands::ColumnsOf(d_out), lse, d_in.Columns());
      return {d_q, d_kv, at::Tensor()};
    }
    Dispatch(in.q, [&](auto tag) {
      ForEachGroup(call.queries, call.keys, call.shape,
                   [&](const HeadGroup& group, at::Tensor& own) {
                     BackwardGroup<decltype(tag)>(group, in, call.queries, call.shape, d_out, lse,
                                                  d_in, own);
                   });
    });
    return {d_q, d_kv, at::Tensor()};
  }
};

}  // namespace

at::Tensor Attend(const at::Tensor& qkv, const RowSet& rows, const AttentionShape& shape) {
  return Attention::apply(qkv, std::optional<at::Tensor>(),
                          c10::make_intrusive<AttentionCall>(rows, rows, shape));
}

at::Tensor Attend(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                  const RowSet& keys, const AttentionShape& shape) {
  if (queries.longest == 1) return AttendOne(q, kv, queries, keys, shape);
  return Attention::apply(q, std::optional<at::Tensor>(kv),
                          c10::make_intrusive<AttentionCall>(queries, keys, shape));
}

}  // namespace graft::worker::engine::cpu
