#include <cmath>
#include <vector>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/attention_cpu.h"

namespace graft::worker::engine::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kMaxHeadDim = 512;

/// One query of one head against `n` keys that lie `stride` apart.
template <typename T>
struct OneHead {
  const T *q, *k, *v;
  int64_t stride, n, head_dim;
  float scale;

  void Forward(float* p, T* out) const {
    float largest = -INFINITY;
    for (int64_t j = 0; j < n; ++j) {
      float dot = 0;
      for (int64_t h = 0; h < head_dim; ++h)
        dot += static_cast<float>(q[h]) * static_cast<float>(k[j * stride + h]);
      p[j] = dot * scale;
      largest = std::max(largest, p[j]);
    }
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += p[j] = std::exp(p[j] - largest);
    float acc[kMaxHeadDim] = {};
    for (int64_t j = 0; j < n; ++j) {
      p[j] /= sum;
      for (int64_t h = 0; h < head_dim; ++h) acc[h] += p[j] * static_cast<float>(v[j * stride + h]);
    }
    for (int64_t h = 0; h < head_dim; ++h) out[h] = static_cast<T>(acc[h]);
  }

  /// `adds`: to what dk and dv hold, [n, head_dim] each, else they are overwritten.
  void Backward(const float* p, const T* d_o, T* dq, float* dk, float* dv, bool adds) const {
    float dot_sum = 0;  // sum_j p_j dp_j
    std::vector<float> dp(n);
    for (int64_t j = 0; j < n; ++j) {
      float dot = 0;
      for (int64_t h = 0; h < head_dim; ++h)
        dot += static_cast<float>(d_o[h]) * static_cast<float>(v[j * stride + h]);
      dp[j] = dot;
      dot_sum += p[j] * dot;
    }
    float acc[kMaxHeadDim] = {};
    for (int64_t j = 0; j < n; ++j) {
      const float ds = p[j] * (dp[j] - dot_sum) * scale;
      float* dk_j = dk + j * head_dim;
      float* dv_j = dv + j * head_dim;
      for (int64_t h = 0; h < head_dim; ++h) {
        acc[h] += ds * static_cast<float>(k[j * stride + h]);
        const float to_k = ds * static_cast<float>(q[h]);
        const float to_v = p[j] * static_cast<float>(d_o[h]);
        dk_j[h] = adds ? dk_j[h] + to_k : to_k;
        dv_j[h] = adds ? dv_j[h] + to_v : to_v;
      }
    }
    for (int64_t h = 0; h < head_dim; ++h) dq[h] = static_cast<T>(acc[h]);
  }
};

/// Where head `head` of sequence `s` has its query, keys and values.
template <typename T>
OneHead<T> HeadOf(const at::Tensor& q, const at::Tensor& kv, const AttentionCall& call, int64_t s,
                  int64_t head) {
  const AttentionShape& shape = call.shape;
  const KeyRange seen(shape, call.queries.position(s, 0), call.keys.length(s));
  const int64_t stride = kv.size(1);
  const T* k = kv.const_data_ptr<T>() + (call.keys.offsets[s] + seen.begin) * stride +
               head / (shape.heads / shape.kv_heads) * shape.head_dim;
  return {q.const_data_ptr<T>() + s * q.size(1) + head * shape.head_dim,
          k,
          k + shape.kv_heads * shape.head_dim,
          stride,
          seen.end - seen.begin,
          shape.head_dim,
          static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)))};
}

/// Calls `body(type tag, sequence)`, in parallel over sequences.
template <typename Body>
void ForEachSequence(const at::Tensor& like, int64_t num_sequences, const Body& body) {
  const auto run = [&](auto tag) {
    at::parallel_for(0, num_sequences, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) body(tag, s);
    });
  };
  if (like.scalar_type() == at::kBFloat16) return run(at::BFloat16{});
  TORCH_CHECK(like.scalar_type() == at::kFloat, "attention takes float32 or bfloat16");
  run(float{});
}

/// The gradients of one sequence's keys and values: those of a head, from those of the query heads
/// that share it.
template <typename T>
void BackwardSequence(const at::Tensor& q, const at::Tensor& kv, const AttentionCall& call,
                      int64_t s, const float* p_NT, const at::Tensor& d_o, const at::Tensor& dq,
                      const at::Tensor& dkv) {
  const AttentionShape& shape = call.shape;
  const int64_t share = shape.heads / shape.kv_heads;
  std::vector<float> dk, dv;
  for (int64_t kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
    int64_t seen_begin = 0;
    OneHead<T> one{};
    for (int64_t i = 0; i < share; ++i) {
      const int64_t head = kv_head * share + i;
      one = HeadOf<T>(q, kv, call, s, head);
      seen_begin = KeyRange(shape, call.queries.position(s, 0), call.keys.length(s)).begin;
      dk.resize(one.n * one.head_dim);
      dv.resize(one.n * one.head_dim);
      const int64_t at_q = s * q.size(1) + head * shape.head_dim;
      one.Backward(p_NT + head * kv.size(0) + call.keys.offsets[s] + seen_begin,
                   d_o.const_data_ptr<T>() + at_q, dq.mutable_data_ptr<T>() + at_q, dk.data(),
                   dv.data(), i > 0);
    }
    T* to_k = dkv.mutable_data_ptr<T>() + (call.keys.offsets[s] + seen_begin) * one.stride +
              kv_head * shape.head_dim;
    T* to_v = to_k + shape.kv_heads * shape.head_dim;
    for (int64_t j = 0; j < one.n; ++j) {
      for (int64_t h = 0; h < one.head_dim; ++h) {
        to_k[j * one.stride + h] = static_cast<T>(dk[j * one.head_dim + h]);
        to_v[j * one.stride + h] = static_cast<T>(dv[j * one.head_dim + h]);
      }
    }
  }
}

class OneAttention : public torch::autograd::Function<OneAttention> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in, const at::Tensor& kv_in,
                            const c10::intrusive_ptr<AttentionCall>& call) {
    const at::Tensor q = q_in.contiguous();
    const at::Tensor kv = kv_in.contiguous();
    const AttentionShape& shape = call->shape;
    TORCH_CHECK(shape.head_dim <= kMaxHeadDim, "head size over 512");
    at::Tensor out = at::empty_like(q);
    at::Tensor p_NT = at::empty({shape.heads, kv.size(0)}, at::kFloat);
    auto* p = p_NT.mutable_data_ptr<float>();
    ForEachSequence(q, q.size(0), [&](auto tag, int64_t s) {
      using T = decltype(tag);
      const int64_t begin =
          KeyRange(shape, call->queries.position(s, 0), call->keys.length(s)).begin;
      for (int64_t head = 0; head < shape.heads; ++head) {
        HeadOf<T>(q, kv, *call, s, head)
            .Forward(p + head * kv.size(0) + call->keys.offsets[s] + begin,
                     out.mutable_data_ptr<T>() + s * q.size(1) + head * shape.head_dim);
      }
    });
    ctx->save_for_backward({q, kv, p_NT});
    ctx->saved_data["call"] = at::IValue::make_capsule(call);
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& q = saved[0];
    const at::Tensor& kv = saved[1];
    const auto* p = saved[2].const_data_ptr<float>();
    const auto held = ctx->saved_data["call"].toCapsule();
    const auto& call = static_cast<const AttentionCall&>(*held);
    const at::Tensor d_o = grads[0].contiguous();
    at::Tensor dq = at::empty_like(q);
    // What no query sees has no gradient.
    at::Tensor dkv = call.shape.causal ? at::zeros_like(kv) : at::empty_like(kv);
    ForEachSequence(q, q.size(0), [&](auto tag, int64_t s) {
      BackwardSequence<decltype(tag)>(q, kv, call, s, p, d_o, dq, dkv);
    });
    return {dq, dkv, at::Tensor()};
  }
};

}  // namespace

at::Tensor AttendOne(const at::Tensor& q, const at::Tensor& kv, const RowSet& queries,
                     const RowSet& keys, const AttentionShape& shape) {
  return OneAttention::apply(q, kv, c10::make_intrusive<AttentionCall>(queries, keys, shape));
}

}  // namespace graft::worker::engine::cpu
