#pragma once
/// A family's forward pass, one layer at a time, so that the engine's thread can walk it and serve
/// others in between. Adding a family: a pair like encoder.{h,cc} here, its layout in
/// common/families, and a line in families.cc.

#include <memory>

#include "worker/engine/device/tensor.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/pass.h"

namespace graft::worker::engine {

/// Thread safety: const after creation.
class Model {
 public:
  virtual ~Model() = default;
  /// Token ids to the first hidden state.
  /// Shapes: returns [T, D] in the compute type.
  virtual at::Tensor Embed(const Pass& pass) const = 0;
  /// One transformer layer. With `pooled` only the first row of each sequence is computed (the last
  /// layer under a classifier: nobody reads the others).
  /// Shapes: hidden [T, D]; returns [T, D], or [S, D] if `pooled`.
  virtual at::Tensor Layer(int64_t layer, const at::Tensor& hidden, const Pass& pass,
                           bool pooled) const = 0;
  virtual int64_t num_layers() const = 0;
};

/// The model of a base, over its weights. Errors: Unimplemented if the engine has none for the
/// base's family.
StatusOr<std::unique_ptr<Model>> MakeModel(const Base& base);

}  // namespace graft::worker::engine
