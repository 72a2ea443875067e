#include "worker/engine/passes/pass_memory.h"

#include <string>

#include "common/spec/pass_memory.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {

StatusOr<Holding> ReservePass(Ledger& ledger, const Base& base,
                              const std::vector<Sequence>& sequences, const PassOutputs& outputs) {
  spec::PassShape shape{.outputs = outputs.rows, .width = outputs.width};
  int64_t past = 0;
  for (const Sequence& sequence : sequences) {
    shape.tokens += sequence.length;
    past += sequence.past;
  }
  // Where each has one new token, the cache is read as it lies.
  if (shape.tokens > static_cast<int64_t>(sequences.size())) shape.keys = past;
  const bool widens = WidensProducts(base.compute(), base.device(), shape.tokens);
  const int64_t bytes = spec::PassBytes(
      base.layout(), shape, {.is_bf16 = base.compute() == at::kBFloat16, .widens = widens});
  return ledger.Reserve(MemoryKind::kScratch, bytes,
                        "a pass of " + std::to_string(shape.tokens) + " tokens");
}

}  // namespace graft::worker::engine
