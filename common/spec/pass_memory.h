#pragma once
/// What a pass without gradients takes of its device's memory, told from the base's shape: what
/// evaluates and serves asks for it before it runs. Pure functions.

#include <cstdint>

#include "common/families/layout.h"

namespace graft::spec {

/// Most tokens that an evaluation's pass packs; fixed, so that results don't depend on load.
inline constexpr int64_t kEvaluationTokens = 4096;

struct PassShape {
  int64_t tokens = 0;
  int64_t attention = 0;  ///< Bytes that attention over a key-value cache takes.
  /// Rows of outputs that are there at once, and of what is made of them; `width` wide.
  int64_t outputs = 0;
  int64_t width = 0;
};

/// How a pass computes.
struct PassNumbers {
  bool is_bf16 = false;  ///< Else fp32.
  bool widens = false;   ///< bf16 operands of large products are turned into fp32 first.
  bool rounds = false;   ///< What is wanted in fp32 comes from products that round it to bf16.

  int64_t element_bytes() const { return is_bf16 ? 2 : 4; }
  /// Of a number that is carried from sublayer to sublayer: a decoder's is in fp32 in any case.
  int64_t residual_bytes(const families::Layout& layout) const {
    return layout.causal ? 4 : element_bytes();
  }
};

/// Bytes of tensors at the moment when they are most, beside the base and the cache; within a
/// quarter, for all but tiny passes.
int64_t PassBytes(const families::Layout& layout, const PassShape& shape,
                  const PassNumbers& numbers);

}  // namespace graft::spec
