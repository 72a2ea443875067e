#include "common/spec/pass_memory.h"

#include <algorithm>

namespace graft::spec {
namespace {

constexpr int64_t kFp32 = 4;

}  // namespace

int64_t PassBytes(const families::Layout& layout, const PassShape& shape,
                  const PassNumbers& numbers) {
  const int64_t element = numbers.element_bytes(), residual = numbers.residual_bytes(layout);
  const int64_t hidden = layout.hidden, inner = layout.intermediate;
  const int64_t q = layout.num_heads * layout.head_dim, kv = layout.num_kv_heads * layout.head_dim;
  const int64_t wide = layout.gated() ? 2 * inner : inner;
  const int64_t wide_bytes = wide * (layout.gated() && !numbers.rounds ? kFp32 : element);
  // The layer's input, what attention gave, its projection and the sum of both.
  const int64_t rows = 3 * hidden * residual + q * element;
  // What is normed in front of the products, where anything is.
  const int64_t normed = layout.causal ? hidden * element : 0;
  // Before and behind the activation.
  int64_t feed_forward = rows + normed + wide_bytes + inner * element;
  int64_t attention = hidden * (residual + element) + (2 * q + 2 * kv) * element;
  int64_t weights = 0, head = 0;
  if (numbers.widens) {
    // The operands in fp32, and the product in both types, if it is rounded.
    const int64_t rounded = layout.gated() ? 0 : wide * element;
    feed_forward =
        std::max(feed_forward, rows + hidden * element + rounded + (hidden + wide) * kFp32);
    attention = std::max(attention, hidden * (residual + element) + (q + 2 * kv) * element +
                                        (hidden + q + 2 * kv) * kFp32);
    weights = hidden * std::max(wide, q + 2 * kv) * kFp32;
    if (shape.outputs > 0) head = hidden * shape.width * kFp32;
  }
  const int64_t layers =
      std::max(shape.tokens * feed_forward, shape.tokens * attention + shape.attention) + weights;
  // In fp32, and where products round, of the bf16 that they give.
  const int64_t output = kFp32 + (numbers.rounds ? element : 0);
  const int64_t outputs =
      shape.outputs * shape.width * output + head + shape.tokens * hidden * element;
  return std::max(layers, outputs);
}

}  // namespace graft::spec
