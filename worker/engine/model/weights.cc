#include "worker/engine/model/weights.h"

#include <algorithm>
#include <utility>

namespace graft::worker::engine {

Weight MatrixOf(const Base& base, std::vector<std::string> names) {
  const auto one = [&](const std::string& name) { return base.Tensor(name).to(base.compute()); };
  Weight weight{.names = std::move(names), .plain = {}};
  if (weight.names.size() == 1) {
    weight.plain = one(weight.names.front());
    return weight;
  }
  weight.plain = base.Fused(weight.names);
  if (weight.plain.defined()) return weight;
  std::vector<at::Tensor> parts;
  for (const std::string& name : weight.names) parts.push_back(one(name));
  weight.plain = at::cat(parts, 0);
  return weight;
}

Weight NormVectorOf(const Base& base, std::string name) {
  const at::Tensor plain = base.Tensor(name).to(at::kFloat);
  return {.names = {std::move(name)}, .plain = plain};
}

at::Tensor WeightSet::Get(const Weight& weight) const {
  if (overlay_ == nullptr) return weight.plain;
  const auto replaced = [&](const std::string& name) {
    return overlay_->Override(name) != nullptr;
  };
  if (std::none_of(weight.names.begin(), weight.names.end(), replaced)) return weight.plain;
  // Inside the graph, so that gradients come back in the overlay's type.
  const auto one = [&](const std::string& name) {
    const at::Tensor* own = overlay_->Override(name);
    return (own != nullptr ? *own : base_->Tensor(name)).to(weight.plain.scalar_type());
  };
  if (weight.names.size() == 1) return one(weight.names.front());
  std::vector<at::Tensor> parts;
  for (const std::string& name : weight.names) parts.push_back(one(name));
  return at::cat(parts, 0);
}

const at::Tensor& WeightSet::Get(const std::string& name) const {
  const at::Tensor* own = overlay_ != nullptr ? overlay_->Override(name) : nullptr;
  return own != nullptr ? *own : base_->Tensor(name);
}

}  // namespace graft::worker::engine
