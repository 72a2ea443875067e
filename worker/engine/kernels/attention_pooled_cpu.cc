#include <algorithm>
#include <cmath>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/attention_cpu.h"

namespace graft::worker::engine::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Pooled attention of one head of one sequence; n keys, one query.
template <typename T>
void PooledForward(const T* q, const T* k, const T* v, int64_t stride, int64_t n, int64_t head_dim,
                   float scale, float* p, T* out) {
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
  float acc[512] = {};
  for (int64_t j = 0; j < n; ++j) {
    p[j] /= sum;
    for (int64_t h = 0; h < head_dim; ++h) acc[h] += p[j] * static_cast<float>(v[j * stride + h]);
  }
  for (int64_t h = 0; h < head_dim; ++h) out[h] = static_cast<T>(acc[h]);
}

template <typename T>
void PooledBackward(const T* q, const T* k, const T* v, int64_t stride, int64_t n, int64_t head_dim,
                    float scale, const float* p, const T* d_o, T* dq, T* dk, T* dv) {
  float dot_sum = 0;  // sum_j p_j dp_j
  std::vector<float> dp(n);
  for (int64_t j = 0; j < n; ++j) {
    float dot = 0;
    for (int64_t h = 0; h < head_dim; ++h)
      dot += static_cast<float>(d_o[h]) * static_cast<float>(v[j * stride + h]);
    dp[j] = dot;
    dot_sum += p[j] * dot;
  }
  float acc[512] = {};
  for (int64_t j = 0; j < n; ++j) {
    const float ds = p[j] * (dp[j] - dot_sum) * scale;
    for (int64_t h = 0; h < head_dim; ++h) {
      acc[h] += ds * static_cast<float>(k[j * stride + h]);
      dk[j * stride + h] = static_cast<T>(ds * static_cast<float>(q[h]));
      dv[j * stride + h] = static_cast<T>(p[j] * static_cast<float>(d_o[h]));
    }
  }
  for (int64_t h = 0; h < head_dim; ++h) dq[h] = static_cast<T>(acc[h]);
}

/// Calls `body(type tag, sequence, head)` for every head of every sequence, in parallel over
/// sequences.
template <typename Body>
void ForEachHead(const at::Tensor& like, size_t num_sequences, int64_t num_heads, Body&& body) {
  const auto run = [&](auto tag) {
    at::parallel_for(0, static_cast<int64_t>(num_sequences), 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        for (int64_t head = 0; head < num_heads; ++head) body(tag, s, head);
      }
    });
  };
  if (like.scalar_type() == at::kBFloat16) return run(at::BFloat16{});
  TORCH_CHECK(like.scalar_type() == at::kFloat, "attention takes float32 or bfloat16");
  run(float{});
}

class PooledAttention : public torch::autograd::Function<PooledAttention> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in, const at::Tensor& kv_in,
                            std::vector<int64_t> offsets, int64_t num_heads) {
    const at::Tensor q = q_in.contiguous();
    const at::Tensor kv = kv_in.contiguous();
    const int64_t width = q.size(1);
    const int64_t head_dim = width / num_heads;
    TORCH_CHECK(head_dim <= 512, "head size over 512");
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
    at::Tensor out = at::empty_like(q);
    at::Tensor p_NT = at::empty({num_heads, kv.size(0)}, at::kFloat);
    auto* p = p_NT.mutable_data_ptr<float>();
    ForEachHead(q, offsets.size() - 1, num_heads, [&](auto tag, int64_t s, int64_t head) {
      using T = decltype(tag);
      const T* k = kv.const_data_ptr<T>() + offsets[s] * 2 * width + head * head_dim;
      PooledForward<T>(q.const_data_ptr<T>() + s * width + head * head_dim, k, k + width, 2 * width,
                       offsets[s + 1] - offsets[s], head_dim, scale,
                       p + head * kv.size(0) + offsets[s],
                       out.mutable_data_ptr<T>() + s * width + head * head_dim);
    });
    ctx->save_for_backward({q, kv, p_NT});
    ctx->saved_data["offsets"] = std::move(offsets);
    ctx->saved_data["num_heads"] = num_heads;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& q = saved[0];
    const at::Tensor& kv = saved[1];
    const auto* p = saved[2].const_data_ptr<float>();
    const auto offsets = ctx->saved_data["offsets"].toIntVector();
    const int64_t num_heads = ctx->saved_data["num_heads"].toInt();
    const int64_t width = q.size(1);
    const int64_t head_dim = width / num_heads;
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
    const at::Tensor d_o = grads[0].contiguous();
    at::Tensor dq = at::empty_like(q);
    at::Tensor dkv = at::empty_like(kv);
    ForEachHead(q, offsets.size() - 1, num_heads, [&](auto tag, int64_t s, int64_t head) {
      using T = decltype(tag);
      const int64_t at_kv = offsets[s] * 2 * width + head * head_dim;
      const int64_t at_q = s * width + head * head_dim;
      const T* k = kv.const_data_ptr<T>() + at_kv;
      T* dk = dkv.mutable_data_ptr<T>() + at_kv;
      PooledBackward<T>(q.const_data_ptr<T>() + at_q, k, k + width, 2 * width,
                        offsets[s + 1] - offsets[s], head_dim, scale,
                        p + head * kv.size(0) + offsets[s], d_o.const_data_ptr<T>() + at_q,
                        dq.mutable_data_ptr<T>() + at_q, dk, dk + width);
    });
    return {dq, dkv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor AttendPooled(const at::Tensor& q_SD, const at::Tensor& kv_T2D,
                        const std::vector<int64_t>& offsets, int64_t num_heads) {
  return PooledAttention::apply(q_SD, kv_T2D, offsets, num_heads);
}

}  // namespace graft::worker::engine::cpu
