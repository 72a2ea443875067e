#include "worker/engine/adapters/initialise.h"

#include <cmath>
#include <numbers>

#include "common/base/random.h"
#include "worker/engine/model/base.h"

namespace graft::worker::engine {
namespace {

/// Runs `draw(random, values, count)` on the CPU and copies the result into `tensor`.
template <typename Draw>
void Fill(const at::Tensor& tensor, uint64_t seed, uint64_t index, Draw&& draw) {
  at::Tensor host = at::empty(tensor.sizes(), at::kFloat);
  PhiloxSequence random(seed, RandomStream::kInit, index);
  auto* values = host.mutable_data_ptr<float>();
  for (int64_t i = 0; i < host.numel(); ++i) values[i] = static_cast<float>(draw(random));
  tensor.detach().copy_(host);
}

}  // namespace

void FillUniform(const at::Tensor& tensor, double low, double high, uint64_t seed, uint64_t index) {
  Fill(tensor, seed, index,
       [&](PhiloxSequence& random) { return low + (high - low) * random.NextDouble(); });
}

void FillNormal(const at::Tensor& tensor, double std, double clip, uint64_t seed, uint64_t index) {
  Fill(tensor, seed, index, [&](PhiloxSequence& random) {
    for (;;) {  // Box-Muller; the second value of each pair is left unused, which costs nothing
                // that matters here.
      const double u = 1.0 - random.NextDouble();
      const double z =
          std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * random.NextDouble());
      if (clip <= 0 || std::abs(z) <= clip) return std * z;
    }
  });
}

Status InitialiseAdapter(Adapter& adapter, const Base& base, uint64_t seed) {
  const at::NoGradGuard no_grad;
  adapter.Initialise(seed);
  const std::vector<families::HeadLinear>& head = adapter.head();
  ParameterSet& parameters = adapter.parameters();
  for (size_t i = 0; i < head.size(); ++i) {
    const families::HeadLinear& linear = head[i];
    if (linear.in_base || !parameters.Has(linear.path + ".weight")) continue;
    FillNormal(parameters.Get(linear.path + ".weight"), 0.02, 0, seed, 1'000'000 + i);
    if (linear.bias) parameters.Get(linear.path + ".bias").detach().zero_();
  }
  for (const methods::TensorSpec& spec : parameters.specs()) {
    if (!spec.overrides_base) continue;
    GRAFT_ASSIGN_OR_RETURN(const at::Tensor master, base.Master(spec.name));
    parameters.Get(spec.name).detach().copy_(master);
  }
  return OkStatus();
}

}  // namespace graft::worker::engine
