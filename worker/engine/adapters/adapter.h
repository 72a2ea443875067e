#pragma once
/// An adapter at work: its parameters and what it does at each site of a pass. A method's half in
/// the engine. Adding a method: a pair like methods/lora.{h,cc} that derives from Adapter, and a
/// line in methods/methods.cc.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/families/layout.h"
#include "common/methods/method_spec.h"
#include "worker/engine/adapters/parameters.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/model/row_owner.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread.
class Adapter : public RowOwner {
 public:
  Adapter(std::shared_ptr<const methods::MethodSpec> method, const families::Layout& layout,
          tasks::TaskSpec task, at::Device device)
      : method_(std::move(method)),
        task_(std::move(task)),
        head_(method_->HeadFor(layout, task_)),
        parameters_(method_->Tensors(layout, task_), device) {}
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  /// Sets the method's own initial values; head and overlays are set by the caller
  /// (InitialiseAdapter).
  virtual void Initialise(uint64_t seed) = 0;

  /// Returns the output of head linear `head` (an index of head()) for inputs x, given its
  /// own output y. Shapes: x [R, in], y [R, out], fp32. `rows` is null outside of training.
  virtual at::Tensor ApplyHeadLinear(size_t /*head*/, const at::Tensor& /*x*/, at::Tensor y,
                                     const RowContext* /*rows*/) const {
    return y;
  }
  /// Lowest transformer layer with a trained tensor; -1 if the embeddings have one, num_layers if
  /// only the head has.
  int lowest_trained_layer(int num_layers) const;
  bool overrides_base() const override;
  const at::Tensor* Override(const std::string& name) const override {
    return parameters_.Has(name) ? &parameters_.Get(name) : nullptr;
  }
  /// Drops what only training needs and keeps what `compute` passes read. Called once, before
  /// serving.
  virtual void PrepareServing(at::ScalarType compute);
  /// What it holds on its device: whole buffers, and of these what tensors fill.
  struct Bytes {
    int64_t buffers = 0, tensors = 0;
  };
  virtual Bytes bytes() const;

  const methods::MethodSpec& method() const { return *method_; }
  std::shared_ptr<const methods::MethodSpec> shared_method() const { return method_; }
  /// With its labels.
  const tasks::TaskSpec& task() const { return task_; }
  /// The head's layers in forward order.
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

}  // namespace graft::worker::engine
