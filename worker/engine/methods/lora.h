#pragma once
/// LoRA in the engine: y[:, slice] += scaling * (x A^T) B^T, all targeted slices of a GEMM in one
/// autograd function. Source: arXiv:2106.09685 section 4.1.

#include "common/methods/lora.h"
#include "worker/engine/adapters/adapter.h"

namespace graft::worker::engine {

class LoraAdapter : public Adapter {
 public:
  LoraAdapter(std::shared_ptr<const methods::LoraSpec> spec, const families::Layout& layout,
              tasks::TaskSpec task, at::Device device);

  /// A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0. Source: PEFT's reset_lora_parameters (kaiming_uniform,
  /// a = sqrt 5).
  void Initialise(uint64_t seed) override;
  bool WrapsLinear(const LinearSite& site) const override;
  at::Tensor ApplyLinear(const LinearCall& call, at::Tensor y) const override;
  at::Tensor ApplyHeadLinear(size_t head, const at::Tensor& x, at::Tensor y,
                             const RowContext* rows) const override;
  const LowRank* LowRankOf(size_t linear) const override {
    return linear < serving_.size() && serving_[linear].a_RD.defined() ? &serving_[linear]
                                                                       : nullptr;
  }
  void PrepareServing(at::ScalarType compute) override;
  Bytes bytes() const override;

 private:
  struct Pair {
    at::Tensor a_RD,
        b_DR;  ///< fp32 views of the parameters; undefined where the linear isn't targeted.
    double scaling = 0;
  };
  void BindPairs();

  std::shared_ptr<const methods::LoraSpec> spec_;
  size_t first_head_ = 0;           ///< Index of the first head linear's pair.
  std::vector<std::string> paths_;  ///< Per Layout::linears, then head(); empty: not targeted.
  std::vector<Pair> pairs_;
  at::Tensor serving_P_;          ///< The layers' matrices in the base's precision.
  std::vector<LowRank> serving_;  ///< Per Layout::linears, once it serves.
};

}  // namespace graft::worker::engine
