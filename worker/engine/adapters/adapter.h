#pragma once
/// An adapter at work: its parameters and what it does at each site of a pass. A method's half in
/// the engine. Adding a method: a pair like methods/lora.{h,cc} that derives from Adapter, and a
/// line in methods/methods.cc.

#include <functional>
#include <memory>
#include <vector>

#include "common/families/layout.h"
#include "common/methods/method_spec.h"
#include "worker/engine/adapters/parameters.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/model/weight.h"

namespace graft::worker::engine {

/// One base GEMM, y = x W^T + b, and the HF linear layers whose outputs are its column slices (q, k
/// and v are one GEMM, three slices).
struct LinearSite {
  struct Slice {
    size_t linear = 0;           ///< Index into Layout::linears.
    int64_t begin = 0, end = 0;  ///< Output columns.
  };
  std::vector<Slice> slices;
  Weight weight, bias;
};

/// Which rows an adapter is given, for randomness that depends on no order: dropout is keyed by
/// (seed, step, site, example, position).
struct RowContext {
  bool training = false;
  uint64_t seed = 0;
  int64_t step = 0;
  const std::vector<int64_t>* offsets = nullptr;  ///< Of the batch; rows are [row_begin, row_end).
  const std::vector<uint64_t>* examples = nullptr;
  int64_t sequence_begin = 0, sequence_end = 0;
  bool pooled = false;  ///< One row a sequence (its first token) rather than all its tokens.
};

/// Shapes: x, y, d [t, D or F] in the pass's compute type; t rows of one owner.
/// Thread safety: confined to the engine's thread.
class Adapter {
 public:
  Adapter(std::shared_ptr<const methods::MethodSpec> method, const families::Layout& layout,
          tasks::TaskSpec task, at::Device device)
      : method_(std::move(method)),
        task_(std::move(task)),
        head_(method_->Head(layout)),
        parameters_(method_->Tensors(layout, task_), device) {}
  virtual ~Adapter() = default;
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  /// Sets the method's own initial values; head and overlays are set by the caller
  /// (InitialiseAdapter).
  virtual void Initialise(uint64_t seed) = 0;

  /// True if ApplyLinear does anything at one of the site's slices.
  virtual bool WrapsLinear(const LinearSite&) const { return false; }
  /// Returns the site's output for rows x whose base output is y; may change y in place.
  virtual at::Tensor ApplyLinear(const LinearSite&, const at::Tensor& /*x*/, at::Tensor y,
                                 const RowContext&) const {
    return y;
  }
  /// True if ApplySublayer replaces LN(x_in + d) at this index of Layout::sublayers.
  virtual bool WrapsSublayer(size_t) const { return false; }
  using Norm = std::function<at::Tensor(const at::Tensor&)>;
  /// Returns the sublayer's output from its input x_in, the output d of its last projection and its
  /// norm.
  virtual at::Tensor ApplySublayer(size_t /*sublayer*/, const at::Tensor& x_in, const at::Tensor& d,
                                   const Norm& norm, const RowContext&) const {
    return norm(x_in + d);
  }
  /// Returns the output of head linear `head` (an index of head()) for inputs x, given its
  /// own output y. Shapes: x [S, in], y [S, out], fp32. `rows` is null outside of training.
  virtual at::Tensor ApplyHeadLinear(size_t /*head*/, const at::Tensor& /*x*/, at::Tensor y,
                                     const RowContext* /*rows*/) const {
    return y;
  }
  /// Lowest transformer layer with a trained tensor; -1 if the embeddings have one, num_layers if
  /// only the head has.
  int lowest_trained_layer(int num_layers) const;
  /// True if some base tensor is replaced: such an adapter runs its own passes over a weight
  /// overlay.
  bool overrides_base() const;
  /// Drops what only training needs and keeps what `compute` passes read. Called once, before
  /// serving.
  virtual void PrepareServing(at::ScalarType compute);

  const methods::MethodSpec& method() const { return *method_; }
  std::shared_ptr<const methods::MethodSpec> shared_method() const { return method_; }
  /// With its labels.
  const tasks::TaskSpec& task() const { return task_; }
  /// The classification head's layers in forward order.
  const std::vector<families::HeadLinear>& head() const { return head_; }
  ParameterSet& parameters() { return parameters_; }
  const ParameterSet& parameters() const { return parameters_; }

 private:
  std::shared_ptr<const methods::MethodSpec> method_;
  tasks::TaskSpec task_;
  std::vector<families::HeadLinear> head_;

 protected:
  ParameterSet parameters_;
};

/// Makes the adapter of `method` (resolved for `layout`) with zero tensors.
/// Errors: Unimplemented if the engine has no half for this method.
StatusOr<std::unique_ptr<Adapter>> MakeAdapter(std::shared_ptr<const methods::MethodSpec> method,
                                               const families::Layout& layout, tasks::TaskSpec task,
                                               at::Device device);

}  // namespace graft::worker::engine
