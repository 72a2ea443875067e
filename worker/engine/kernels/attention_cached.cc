#include "worker/engine/kernels/attention_cached.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/engine/device/team.h"
#include "worker/engine/kernels/attention_cpu.h"
#include "worker/engine/kernels/attention_rows.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

template <typename T>
[[gnu::always_inline]] inline float Dot(const T* a, const T* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += cpu::Load(a[i]) * cpu::Load(b[i]);
  return sum;
}

/// scores[j] = q k_j and then, with probabilities p, out = sum of p_j v_j. Rows lie at `rows[j] *
/// stride` behind `base`.
template <typename T>
[[gnu::always_inline]] inline void Score(const T* q, const T* base, const int64_t* rows,
                                         int64_t stride, int64_t keys, int64_t n, float* scores) {
  for (int64_t j = 0; j < keys; ++j) scores[j] = Dot(q, base + rows[j] * stride, n);
}
template <typename T>
[[gnu::always_inline]] inline void Mix(const float* p, const T* base, const int64_t* rows,
                                       int64_t stride, int64_t keys, int64_t n, float* sum,
                                       T* out) {
  std::fill(sum, sum + n, 0.0F);
  for (int64_t j = 0; j < keys; ++j) {
    const T* v = base + rows[j] * stride;
    const float share = p[j];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) sum[i] += share * cpu::Load(v[i]);
  }
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) cpu::Store(&out[i], sum[i]);
}

GRAFT_VECTORISED void ScoreRows(const float* q, const float* base, const int64_t* rows,
                                int64_t stride, int64_t keys, int64_t n, float* scores) {
  Score(q, base, rows, stride, keys, n, scores);
}
GRAFT_VECTORISED void ScoreRows(const c10::BFloat16* q, const c10::BFloat16* base,
                                const int64_t* rows, int64_t stride, int64_t keys, int64_t n,
                                float* scores) {
  Score(q, base, rows, stride, keys, n, scores);
}
GRAFT_VECTORISED void MixRows(const float* p, const float* base, const int64_t* rows,
                              int64_t stride, int64_t keys, int64_t n, float* sum, float* out) {
  Mix(p, base, rows, stride, keys, n, sum, out);
}
GRAFT_VECTORISED void MixRows(const float* p, const c10::BFloat16* base, const int64_t* rows,
                              int64_t stride, int64_t keys, int64_t n, float* sum,
                              c10::BFloat16* out) {
  Mix(p, base, rows, stride, keys, n, sum, out);
}

/// One query of each sequence, straight from the cache.
template <typename T>
void AttendOneEach(const at::Tensor& q, const at::Tensor& cache, const RowSet& queries,
                   const CachedKeys& cached, const AttentionShape& shape, const at::Tensor& out) {
  const int64_t share = shape.heads / shape.kv_heads, size = shape.head_dim;
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)));
  const auto* rows = cached.rows_K.const_data_ptr<int64_t>();
  cpu::ForEachChunk(queries.num_sequences() * shape.kv_heads, [&](int64_t task) {
    thread_local std::vector<float> scores, sum;
    const int64_t s = task / shape.kv_heads, kv_head = task % shape.kv_heads;
    const cpu::KeyRange seen(shape, queries.position(s, 0), cached.keys.length(s));
    const int64_t n = seen.end - seen.begin;
    scores.resize(static_cast<size_t>(n));
    sum.resize(static_cast<size_t>(size));
    const int64_t* at = rows + cached.keys.offsets[static_cast<size_t>(s)] + seen.begin;
    const T* keys = cache.const_data_ptr<T>() + kv_head * size;
    for (int64_t i = 0; i < share; ++i) {
      const int64_t column = (kv_head * share + i) * size;
      ScoreRows(q.const_data_ptr<T>() + s * q.stride(0) + column, keys, at, cache.size(1), n, size,
                scores.data());
      cpu::SoftmaxRow(scores.data(), n, scale);
      MixRows(scores.data(), keys + shape.kv_heads * size, at, cache.size(1), n, size, sum.data(),
              out.mutable_data_ptr<T>() + s * out.size(1) + column);
    }
  });
}

}  // namespace

at::Tensor AttendCached(const at::Tensor& q, const at::Tensor& cache, const RowSet& queries,
                        const CachedKeys& cached, const AttentionShape& shape) {
  if (q.is_cpu() && queries.longest == 1) {
    const at::Tensor out = at::empty({q.size(0), shape.heads * shape.head_dim}, q.options());
    if (q.scalar_type() == at::kBFloat16) {
      AttendOneEach<c10::BFloat16>(q, cache, queries, cached, shape, out);
    } else {
      AttendOneEach<float>(q, cache, queries, cached, shape, out);
    }
    return out;
  }
  return Attend(q.contiguous(), cache.index_select(0, cached.rows_K), queries, cached.keys, shape);
}

}  // namespace graft::worker::engine
