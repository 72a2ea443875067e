#include "worker/engine/kernels/attention_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine::cpu {
namespace {

template <typename T>
[[gnu::always_inline]] inline float Softmax(T* scores, int64_t n, float scale) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, Load(scores[i]));
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    // In this order the largest gives exactly 0, however large it is; scale * score - shift may be
    // contracted into one operation, which leaves the product's rounding error: more than the range
    // of exp if scores are huge.
    const float e = Exp((Load(scores[i]) - largest) * scale);
    Store(&scores[i], e);
    sum += e;
  }
  const float inverse = 1.0F / sum;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) Store(&scores[i], Load(scores[i]) * inverse);
  return scale * largest + std::log(sum);
}

template <typename T>
[[gnu::always_inline]] inline void SoftmaxBackward(T* scores, T* grad_p, int64_t n, float scale,
                                                   float lse) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < n; ++i) {
    const float p = Exp(Load(scores[i]) * scale - lse);
    Store(&scores[i], p);
    dot += p * Load(grad_p[i]);
  }
#pragma omp simd
  for (int64_t i = 0; i < n; ++i)
    Store(&grad_p[i], scale * Load(scores[i]) * (Load(grad_p[i]) - dot));
}

}  // namespace

GRAFT_VECTORISED float SoftmaxRow(float* scores, int64_t n, float scale) {
  return Softmax(scores, n, scale);
}
GRAFT_VECTORISED float SoftmaxRow(c10::BFloat16* scores, int64_t n, float scale) {
  return Softmax(scores, n, scale);
}
GRAFT_VECTORISED void SoftmaxBackwardRow(float* scores, float* grad_p, int64_t n, float scale,
                                         float lse) {
  SoftmaxBackward(scores, grad_p, n, scale, lse);
}
GRAFT_VECTORISED void SoftmaxBackwardRow(c10::BFloat16* scores, c10::BFloat16* grad_p, int64_t n,
                                         float scale, float lse) {
  SoftmaxBackward(scores, grad_p, n, scale, lse);
}
GRAFT_VECTORISED void NarrowRow(const float* from, c10::BFloat16* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) Store(&to[i], from[i]);
}

}  // namespace graft::worker::engine::cpu
