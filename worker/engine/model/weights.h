#pragma once
/// The weights a pass runs over: the frozen base's, with those replaced that an adapter replaces (a
/// weight overlay).

#include <string>
#include <vector>

#include "worker/engine/model/base.h"
#include "worker/engine/model/row_owner.h"
#include "worker/engine/model/weight.h"

namespace graft::worker::engine {

/// Matrices, or a GEMM's biases, in the compute type. Requires: the base has them.
Weight MatrixOf(const Base& base, std::vector<std::string> names);
/// A norm's vector in fp32. Requires: the base has it.
Weight NormVectorOf(const Base& base, std::string name);

/// Cheap to make; borrows both. Gradients flow into overlay tensors, never into the base.
class WeightSet {
 public:
  explicit WeightSet(const Base& base, const RowOwner* overlay = nullptr)
      : base_(&base),
        overlay_(overlay != nullptr && overlay->overrides_base() ? overlay : nullptr) {}

  /// The weight in its own type, with what the overlay replaces of it; undefined if it has no name.
  at::Tensor Get(const Weight& weight) const;

  /// The tensor of this name, or what the overlay replaces it by. Requires: the base has it.
  const at::Tensor& Get(const std::string& name) const;

  const Base& base() const { return *base_; }

 private:
  const Base* base_;
  const RowOwner* overlay_;
};

}  // namespace graft::worker::engine
