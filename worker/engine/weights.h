#pragma once
/// The weights a pass runs over: the frozen base, with named tensors replaced by an adapter's (a
/// weight overlay).

#include <string>
#include <string_view>
#include <vector>

#include "worker/engine/adapter.h"
#include "worker/engine/base.h"

namespace graft::worker::engine {

/// Cheap to make; borrows both. Gradients flow into overlay tensors, never into the base.
class WeightSet {
 public:
  explicit WeightSet(const Base& base, const Adapter* overlay = nullptr)
      : base_(&base),
        overlay_(overlay != nullptr && overlay->overrides_base() ? overlay : nullptr) {}

  /// A matrix in the compute type.
  at::Tensor Matrix(const std::string& name) const;
  /// Matrices one above the other, [sum of rows, in]: one GEMM for all of them.
  at::Tensor FusedMatrix(const std::vector<std::string>& names) const;
  /// A bias in the compute type (GEMMs want one type).
  at::Tensor Bias(const std::string& name) const { return Matrix(name); }
  at::Tensor FusedBias(const std::vector<std::string>& names) const { return FusedMatrix(names); }
  /// A norm's vector in fp32.
  at::Tensor NormVector(const std::string& name) const;

  const Base& base() const { return *base_; }

 private:
  const at::Tensor* Override(const std::string& name) const;

  const Base* base_;
  const Adapter* overlay_;
};

}  // namespace graft::worker::engine
