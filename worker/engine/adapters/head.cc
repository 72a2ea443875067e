#include "worker/engine/adapters/head.h"

#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/products.h"

namespace graft::worker::engine {

namespace {

/// A product over a matrix that is too wide to be widened whole.
at::Tensor NarrowLogits(const at::Tensor& x, const families::HeadLinear& linear,
                        const WeightSet& weights) {
  const at::ScalarType compute = weights.base().compute();
  const at::Tensor weight = weights.Get(linear.path + ".weight").to(compute);
  return Linear(x.to(compute), weight, {}, at::kFloat);
}

}  // namespace

at::Tensor HeadLogits(const at::Tensor& hidden_RD, const WeightSet& weights, const Adapter& adapter,
                      const RowContext* rows) {
  const auto tensor = [&](const std::string& name) {
    const ParameterSet& own = adapter.parameters();
    return (own.Has(name) ? own.Get(name) : weights.base().Tensor(name)).to(at::kFloat);
  };
  at::Tensor x = hidden_RD;
  const std::vector<families::HeadLinear>& linears = adapter.head();
  for (size_t i = 0; i < linears.size(); ++i) {
    const families::HeadLinear& linear = linears[i];
    at::Tensor y;
    if (linear.narrow) {
      y = NarrowLogits(x, linear, weights);
    } else {
      x = x.to(at::kFloat);
      const at::Tensor bias = linear.bias ? tensor(linear.path + ".bias") : at::Tensor();
      y = at::linear(x, tensor(linear.path + ".weight"), bias);
    }
    x = Activate(adapter.ApplyHeadLinear(i, x, y, rows), linear.activation);
  }
  return x;
}

at::Tensor BaseLogits(const at::Tensor& hidden_RD, const WeightSet& weights) {
  return NarrowLogits(hidden_RD, weights.base().layout().language_head.front(), weights);
}

}  // namespace graft::worker::engine
