#include "worker/engine/kernels/attention_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

// One build serves every x86-64: the loader picks the widest version that the processor runs.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GRAFT_VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GRAFT_VECTORISED
#endif

namespace graft::worker::engine::cpu {
namespace {

inline float Load(float x) { return x; }
inline float Load(c10::BFloat16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.x) << 16);
}
inline void Store(float* to, float x) { *to = x; }
inline void Store(c10::BFloat16* to, float x) {
  // Round to nearest even. A NaN stays one unless its payload is all in the low half; those don't
  // come from arithmetic.
  const auto bits = std::bit_cast<uint32_t>(x);
  to->x = static_cast<uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

/// exp(x) for x <= 0, without branches, so that loops over it vectorise; 0 below -87, 1 for what
/// rounding put above 0. Cody-Waite reduction and a minimax polynomial on [-ln2/2, ln2/2]. Source:
/// Cephes expf.
inline float Exp(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer.
  const float above = x < -87.0F ? -87.0F : x;
  const float bounded = above > 0.0F ? 0.0F : above;  // Written so that a NaN passes.
  const float shifted = bounded * 1.44269504088896341F + kShift;
  const float n = shifted - kShift;
  const float r = (bounded - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) << 23) + 0x3F800000);
  return x < -87.0F ? 0.0F : p * power;
}

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

}  // namespace graft::worker::engine::cpu
