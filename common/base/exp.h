#pragma once
/// Arithmetic for loops that vectorise.

#include <bit>
#include <cstdint>

namespace graft {

/// exp(x) for x <= 0, without branches, so that loops over it vectorise; 0 below -87, 1 for what
/// rounding put above 0. Cody-Waite reduction and a minimax polynomial on [-ln2/2, ln2/2]. Source:
/// Cephes expf.
[[gnu::always_inline]] inline float Exp(float x) {
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

}  // namespace graft
