#include "worker/engine/adapters/adapter.h"

#include <algorithm>

namespace graft::worker::engine {

int Adapter::lowest_trained_layer(int num_layers) const {
  int lowest = num_layers;
  for (const methods::TensorSpec& spec : parameters_.specs()) {
    if (spec.trained) lowest = std::min(lowest, spec.layer);
  }
  return lowest;
}

bool Adapter::overrides_base() const {
  return std::any_of(parameters_.specs().begin(), parameters_.specs().end(),
                     [](const auto& spec) { return spec.overrides_base; });
}

void Adapter::PrepareServing(at::ScalarType /*compute*/) { parameters_.CastForServing(at::kFloat); }

Adapter::Bytes Adapter::bytes() const {
  Bytes bytes{.buffers = static_cast<int64_t>(parameters_.flat_P().nbytes())};
  for (const methods::TensorSpec& spec : parameters_.specs())
    bytes.tensors += static_cast<int64_t>(parameters_.Get(spec.name).nbytes());
  return bytes;
}

}  // namespace graft::worker::engine
