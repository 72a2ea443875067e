#include "common/spec/pass_memory.h"

#include <algorithm>

namespace graft::spec {
namespace {

constexpr int64_t kFp32 = 4;

}  // namespace

int64_t PassBytes(const families::Layout& layout, const PassShape& shape,
                  const PassNumbers& numbers) {
  const int64_t element = numbers.is_bf16 ? 2 : kFp32;
  const int64_t hidden = layout.hidden, inner = layout.intermediate;
  const int64_t q = layout.num_heads * layout.head_dim, kv = layout.num_kv_heads * layout.head_dim;
  const int64_t wide = layout.gated() ? 2 * inner : inner;
  // The layer's input, what attention gave, its projection and the sum of both.
  const int64_t rows = 3 * hidden + q;
  // Before and behind the activation, and the way back or, of a gated layer, both with it.
  int64_t feed_forward = (rows + wide + inner + (layout.gated() ? hidden : 0)) * element;
  int64_t attention = (2 * hidden + 2 * q + 2 * kv) * element;
  int64_t weights = 0, head = 0;
  if (numbers.widens) {
    // The operands in fp32, and the product in both types.
    feed_forward =
        std::max(feed_forward, (rows + hidden + wide) * element + (hidden + wide) * kFp32);
    attention =
        std::max(attention, (2 * hidden + q + 2 * kv) * element + (hidden + q + 2 * kv) * kFp32);
    weights = hidden * std::max(wide, q + 2 * kv) * kFp32;
    if (shape.outputs > 0) head = hidden * shape.width * kFp32;
  }
  const int64_t layers =
      std::max(shape.tokens * feed_forward, shape.tokens * attention + shape.attention) + weights;
  // Outputs are in fp32, made of those in the type of the pass.
  const int64_t output = kFp32 + (numbers.is_bf16 ? element : 0);
  const int64_t outputs =
      shape.outputs * shape.width * output + head + shape.tokens * hidden * element;
  return std::max(layers, outputs);
}

}  // namespace graft::spec
