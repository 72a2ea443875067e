#pragma once
/// Two-layer networks behind sublayers: a = up(act(down(h))) [+ h].
/// Source: arXiv:1902.00751 section 2 (Houlsby), arXiv:2005.00247 (Pfeiffer); files: AdapterHub's
/// adapter_config.json + adapter.safetensors and head_config.json + model_head.safetensors.

#include <memory>
#include <string>
#include <vector>

#include "common/methods/method_spec.h"

namespace graft::methods {

enum class BottleneckPlacement {
  kHoulsby,   ///< Behind attention and feed-forward: LN(x_in + d + up(act(down(d)))).
  kPfeiffer,  ///< Behind feed-forward: h = LN(x_in + d); LN(x_in + d + up(act(down(h)))).
};

class BottleneckSpec : public MethodSpec {
 public:
  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);
  static StatusOr<ImportedMethod> Import(
      const std::map<std::string, std::string>& configs,
      const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
      const families::Layout& layout);

  std::string_view name() const override { return "bottleneck"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  int64_t num_labels) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return unfreeze_base_ ? 5e-5 : 1e-3; }
  std::string_view artifact_format() const override;

  BottleneckPlacement placement() const { return placement_; }
  int size() const { return size_; }
  const std::string& activation() const { return activation_; }
  double init_std() const { return init_std_; }
  double dropout() const { return dropout_; }
  bool unfreeze_base() const { return unfreeze_base_; }
  bool residual() const { return residual_; }
  bool freeze_head() const { return freeze_head_; }
  /// True if this sublayer carries an adapter.
  bool Wraps(const families::Sublayer& sublayer) const;
  /// Canonical tensor-name prefix at a sublayer, "bert.encoder.layer.0.output.adapters."; the four
  /// names behind it are adapter_down.weight [size, hidden], adapter_down.bias, adapter_up.weight
  /// [hidden, size], adapter_up.bias.
  static std::string Prefix(const families::Sublayer& sublayer);

 private:
  BottleneckPlacement placement_ = BottleneckPlacement::kHoulsby;
  int size_ = 64;
  std::string activation_;
  double init_std_ = 0.01;
  double dropout_ = 0;
  bool unfreeze_base_ = false;
  bool residual_ = true;
  bool freeze_head_ = false;
};

}  // namespace graft::methods
