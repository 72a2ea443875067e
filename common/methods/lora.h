#pragma once
/// Low-rank updates of linear layers: y += scaling * B (A x).
/// Source: arXiv:2106.09685 section 4.1; scaling of rslora: arXiv:2312.03732; files: PEFT (formats:
/// one folder with adapter_config.json and adapter_model.safetensors).

#include <memory>
#include <string>
#include <vector>

#include "common/methods/method_spec.h"

namespace graft::methods {

class LoraSpec : public MethodSpec {
 public:
  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);
  static StatusOr<ImportedMethod> Import(
      const Json& adapter_config, const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
      const families::Layout& layout);

  std::string_view name() const override { return "lora"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  int64_t num_labels) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return 1e-3; }
  std::string_view artifact_format() const override { return "peft"; }

  int rank() const { return rank_; }
  double alpha() const { return alpha_; }
  double dropout() const { return dropout_; }
  bool rslora() const { return rslora_; }
  const std::vector<std::string>& target_modules() const { return target_modules_; }
  /// alpha / rank, or alpha / sqrt(rank).
  double scaling() const;
  /// True if `path`'s last name is targeted.
  bool Targets(const families::Linear& linear) const;

 private:
  int rank_ = 8;
  double alpha_ = 16;
  double dropout_ = 0;
  bool rslora_ = false;
  std::vector<std::string> target_modules_;
};

}  // namespace graft::methods
