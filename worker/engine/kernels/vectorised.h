#pragma once
/// What loops over rows on the CPU share: arithmetic in fp32 on values of either type.

#include <bit>
#include <cstdint>

#include <c10/util/BFloat16.h>

#include "common/base/vectorised.h"

namespace graft::worker::engine::cpu {

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

/// 1 / (1 + exp(-x)).
inline float Sigmoid(float x) {
  const float e = Exp(x < 0.0F ? x : -x);
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

}  // namespace graft::worker::engine::cpu
