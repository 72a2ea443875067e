#pragma once
/// The tensors of one adapter in one flat fp32 buffer, with views by name, so that the optimizer,
/// the norm, a checkpoint and a copy to another tier are single operations.

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/methods/method_spec.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Layout of the buffer: trained tensors with weight decay | trained without | not trained; each
/// view begins at a multiple of 16 floats (64 bytes). The gaps are zero and stay zero. Thread
/// safety: confined to the engine's thread once it trains.
class ParameterSet {
 public:
  /// Allocates zeros.
  ParameterSet(std::vector<methods::TensorSpec> specs, at::Device device);

  const std::vector<methods::TensorSpec>& specs() const { return specs_; }
  /// Returns the view of a tensor (fp32, spec's shape); it is an autograd leaf after EnableGrad.
  /// Requires: `name` is one of specs().
  const at::Tensor& Get(std::string_view name) const;
  bool Has(std::string_view name) const { return index_.contains(std::string(name)); }

  /// Makes trained views autograd leaves whose gradients accumulate in grad_P().
  void EnableGrad();
  /// Lets go of the tensors that `keep` denies, which then aren't among specs() any more. Ends
  /// training.
  void Keep(const std::function<bool(const methods::TensorSpec&)>& keep);
  /// Changes the buffer's type for serving (bf16 halves it); views stay valid by name. Ends
  /// training.
  void CastForServing(at::ScalarType dtype);

  at::Tensor flat_P() const { return flat_P_; }  ///< Everything, gaps included.
  at::Tensor trained_P() const { return flat_P_.narrow(0, 0, num_trained_); }
  at::Tensor grad_P() const { return grad_P_; }         ///< [num_trained] fp32.
  int64_t num_decayed() const { return num_decayed_; }  ///< Elements of the first part.
  int64_t num_trained() const { return num_trained_; }  ///< Elements of the first two parts.

 private:
  void MakeViews();

  std::vector<methods::TensorSpec> specs_;
  std::vector<int64_t> offsets_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<at::Tensor> views_;
  at::Tensor flat_P_, grad_P_;
  int64_t num_decayed_ = 0, num_trained_ = 0;
};

}  // namespace graft::worker::engine
