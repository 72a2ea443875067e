#pragma once
/// A family's forward pass, one layer at a time, so that the engine's thread can walk it and serve
/// others in between. Adding a family: a pair like families/encoder.{h,cc}, its layout in
/// common/families, and a line in families/families.cc.

#include "worker/engine/device/tensor.h"
#include "worker/engine/model/pass.h"

namespace graft::worker::engine {

/// Thread safety: const after creation.
class Model {
 public:
  virtual ~Model() = default;
  /// Token ids to the first hidden state.
  /// Shapes: returns [T, D] in the compute type.
  virtual at::Tensor Embed(const Pass& pass) const = 0;
  /// One transformer layer, for `rows`: the batch's tokens, or its wanted rows where nobody reads
  /// the others (the last layer, which also applies what norm stands behind it).
  /// Shapes: hidden [T, D]; returns [rows, D].
  virtual at::Tensor Layer(int64_t layer, const at::Tensor& hidden, const Pass& pass,
                           const RowSet& rows) const = 0;
  virtual int64_t num_layers() const = 0;
};

}  // namespace graft::worker::engine
