#include "worker/engine/passes/pass_memory.h"

#include <algorithm>
#include <string>

#include "worker/engine/kernels/attention_cached.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {
namespace {

/// That of the layer that sees most.
AttentionShape WidestAttention(const families::Layout& layout) {
  AttentionShape shape{.heads = layout.num_heads,
                       .kv_heads = layout.num_kv_heads,
                       .head_dim = layout.head_dim,
                       .causal = layout.causal};
  const std::vector<int64_t>& windows = layout.windows;
  if (!windows.empty() && *std::min_element(windows.begin(), windows.end()) > 0)
    shape.window = *std::max_element(windows.begin(), windows.end());
  return shape;
}

}  // namespace

spec::PassNumbers NumbersOf(const Base& base, int64_t rows) {
  return {.is_bf16 = base.compute() == at::kBFloat16,
          .widens = WidensProducts(base.compute(), base.device(), rows),
          .rounds = RoundsSums(base.compute(), base.device())};
}

StatusOr<Holding> ReservePass(Ledger& ledger, const Base& base,
                              const std::vector<Sequence>& sequences, const PassOutputs& outputs) {
  spec::PassShape shape{.outputs = outputs.rows, .width = outputs.width};
  std::vector<CachedSequence> cached;
  for (const Sequence& sequence : sequences) {
    shape.tokens += sequence.length;
    if (sequence.blocks.empty()) continue;
    cached.push_back({sequence.length, sequence.past + sequence.length});
    // Where they lie in the cache.
    shape.attention += cached.back().keys * static_cast<int64_t>(sizeof(int64_t));
  }
  shape.attention +=
      CachedAttentionBytes(cached, WidestAttention(base.layout()), base.compute(), base.device());
  const int64_t bytes = spec::PassBytes(base.layout(), shape, NumbersOf(base, shape.tokens));
  return ledger.Reserve(MemoryKind::kScratch, bytes,
                        "a pass of " + std::to_string(shape.tokens) + " tokens");
}

}  // namespace graft::worker::engine
