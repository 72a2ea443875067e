#include "worker/engine/passes/forward_pass.h"

#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {

ForwardPass ForwardPass::Run(const Model& model, const Base& base,
                             const std::vector<Sequence>& sequences,
                             const std::vector<const Adapter*>& owners, const Yield& yield,
                             KvCache* cache) {
  const at::NoGradGuard no_grad;
  std::vector<Owner> of_rows;
  for (const Adapter* adapter : owners) of_rows.push_back({.adapter = adapter});
  ForwardPass result{.batch = Pack(sequences, of_rows, base.device(), cache), .hidden_RD = {}};
  const WeightSet weights(base, owners.front());
  result.hidden_RD = Forward(model, Pass(result.batch, weights), yield);
  return result;
}

}  // namespace graft::worker::engine
