#pragma once
/// Bottleneck adapters in the engine, Houlsby and Pfeiffer; optionally over an unfrozen base.
/// Source: arXiv:1902.00751, arXiv:2005.00247; placement as in AdapterHub.

#include "common/methods/bottleneck.h"
#include "worker/engine/adapters/adapter.h"

namespace graft::worker::engine {

class BottleneckAdapter : public Adapter {
 public:
  BottleneckAdapter(std::shared_ptr<const methods::BottleneckSpec> spec,
                    const families::Layout& layout, tasks::TaskSpec task, at::Device device);

  /// Projections N(0, init_std) truncated at two standard deviations, biases 0: near the identity.
  /// Without the residual (the article's layer) nn.Linear's own U(-1/sqrt(in), 1/sqrt(in)), biases
  /// too.
  void Initialise(uint64_t seed) override;
  bool WrapsSublayer(size_t sublayer) const override { return !prefixes_[sublayer].empty(); }
  at::Tensor ApplySublayer(const SublayerCall& call) const override;
  const Bottleneck* BottleneckOf(size_t sublayer) const override {
    return sublayer < serving_.size() && WrapsSublayer(sublayer) ? &serving_[sublayer] : nullptr;
  }
  void PrepareServing(at::ScalarType compute) override;
  Bytes bytes() const override;

 private:
  /// The network of a sublayer that it wraps, of tensors in fp32.
  Bottleneck NetworkOf(const std::string& prefix) const;

  std::shared_ptr<const methods::BottleneckSpec> spec_;
  std::vector<std::string> prefixes_;  ///< Per Layout::sublayers; empty if not wrapped.
  at::Tensor serving_P_;               ///< The networks in the base's precision.
  std::vector<Bottleneck> serving_;    ///< Per Layout::sublayers, once it serves.
};

}  // namespace graft::worker::engine
