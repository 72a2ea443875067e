#include "worker/engine/weights.h"

#include <algorithm>

namespace graft::worker::engine {

const at::Tensor* WeightSet::Override(const std::string& name) const {
  if (overlay_ == nullptr || !overlay_->parameters().Has(name)) return nullptr;
  return &overlay_->parameters().Get(name);
}

at::Tensor WeightSet::Matrix(const std::string& name) const {
  const at::Tensor* replaced = Override(name);
  return (replaced != nullptr ? *replaced : base_->Tensor(name)).to(base_->compute());
}

at::Tensor WeightSet::FusedMatrix(const std::vector<std::string>& names) const {
  const bool plain = std::none_of(names.begin(), names.end(),
                                  [this](const auto& name) { return Override(name) != nullptr; });
  if (plain) {
    if (at::Tensor fused = base_->Fused(names); fused.defined()) return fused;
  }
  std::vector<at::Tensor> parts;
  for (const std::string& name : names) parts.push_back(Matrix(name));
  return at::cat(parts, 0);
}

at::Tensor WeightSet::NormVector(const std::string& name) const {
  const at::Tensor* replaced = Override(name);
  return (replaced != nullptr ? *replaced : base_->Tensor(name)).to(at::kFloat);
}

}  // namespace graft::worker::engine
