#include "worker/engine/adapters/head.h"

#include "worker/engine/kernels/activation.h"

namespace graft::worker::engine {

at::Tensor HeadLogits(const at::Tensor& hidden_RD, const WeightSet& weights, const Adapter& adapter,
                      const RowContext* rows) {
  const auto tensor = [&](const std::string& name) {
    const ParameterSet& own = adapter.parameters();
    return (own.Has(name) ? own.Get(name) : weights.base().Tensor(name)).to(at::kFloat);
  };
  at::Tensor x = hidden_RD.to(at::kFloat);
  const std::vector<families::HeadLinear>& linears = adapter.head();
  for (size_t i = 0; i < linears.size(); ++i) {
    const families::HeadLinear& linear = linears[i];
    const at::Tensor bias = linear.bias ? tensor(linear.path + ".bias") : at::Tensor();
    const at::Tensor y = at::linear(x, tensor(linear.path + ".weight"), bias);
    x = Activate(adapter.ApplyHeadLinear(i, x, y, rows), linear.activation);
  }
  return x;
}

}  // namespace graft::worker::engine
