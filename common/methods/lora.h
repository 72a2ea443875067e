#pragma once
/// Low-rank updates of linear layers: y += scaling * B (A x).
/// Source: arXiv:2106.09685 section 4.1; scaling of rslora: arXiv:2312.03732; files: PEFT (formats:
/// one folder with adapter_config.json and adapter_model.safetensors).

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/methods/method_spec.h"

namespace graft::methods {

class LoraSpec : public MethodSpec {
 public:
  /// Which of the base's biases are trained with it; PEFT's `bias`.
  enum class Biases { kNone, kAll, kAdapted };

  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);
  /// Reads a PEFT folder. What its file holds says which modules are adapted and which tensors of
  /// the base are replaced; its config must say the same. `text` is that of `config`, for the order
  /// in its objects. Requires: `config` is an object.
  static StatusOr<ImportedMethod> Import(
      const Json& config, const std::string& text,
      const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
      const families::Layout& layout);

  std::string_view name() const override { return "lora"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  const tasks::TaskSpec& task) const override;
  bool ChangesNothing(const families::Layout& layout, const IsZero& is_zero) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return 1e-3; }
  bool mergeable() const override { return true; }
  std::string_view artifact_format() const override { return "peft"; }

  int rank() const { return rank_; }
  double alpha() const { return alpha_; }
  double dropout() const override { return dropout_; }
  bool rslora() const { return rslora_; }
  const std::vector<std::string>& target_modules() const { return target_modules_; }
  /// A module's own rank, or the common one.
  int RankOf(const std::string& path) const;
  /// alpha / rank, or alpha / sqrt(rank), each the module's own if it has one.
  double ScalingOf(const std::string& path) const;
  /// True if `path`'s last name is targeted.
  bool Targets(const families::Linear& linear) const;
  /// What may be adapted: the linear layers, then those of the head that the base has (BERT's
  /// pooler), which PEFT reaches by the same names.
  static std::vector<families::Linear> Adaptable(const families::Layout& layout);

 private:
  /// True if the adapter has its own copy of a base tensor.
  bool Replaces(const families::TensorShape& tensor, bool bias_of_adapted) const;
  double AlphaOf(const std::string& path) const;

  int rank_ = 8;
  double alpha_ = 16;
  double dropout_ = 0;
  bool rslora_ = false;
  std::vector<std::string> target_modules_;
  // All below: absent from the JSON at their defaults, so that versions keep their hashes.
  std::map<std::string, int> rank_pattern_;      ///< By a module's path or its end.
  std::map<std::string, double> alpha_pattern_;  ///< By a module's path or its end.
  std::vector<std::string> modules_to_save_;     ///< Modules of the base trained whole.
  Biases biases_ = Biases::kNone;
};

}  // namespace graft::methods
