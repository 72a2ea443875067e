#pragma once
/// What loops over rows on the CPU share: arithmetic in fp32 on values of either type.

#include <bit>
#include <cstdint>

#include <c10/util/BFloat16.h>

#include "common/base/exp.h"
#include "common/base/vectorised.h"

namespace graft::worker::engine::cpu {

using graft::Exp;

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

/// 1 / (1 + exp(-x)).
inline float Sigmoid(float x) {
  const float e = Exp(x < 0.0F ? x : -x);
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

}  // namespace graft::worker::engine::cpu
