#pragma once
/// Methods that replace base weights instead of adding to them: last_layers and full. Their
/// artifact is a state dict with HuggingFace names, partial or complete.

#include <memory>
#include <string>
#include <vector>

#include "common/methods/method_spec.h"

namespace graft::methods {

/// A head's tensors, its last layer `outputs` wide: new linears always, and those of the base if
/// `with_base_head`. They are stored in `file` under their names behind `key_prefix`.
std::vector<TensorSpec> HeadTensors(const std::vector<families::HeadLinear>& head, int64_t outputs,
                                    bool with_base_head, const std::string& file,
                                    const std::string& key_prefix);

/// Overlay tensors over base tensors whose layer is at least `first_layer` (-1: embeddings too),
/// but not over a head's that the task doesn't use, nor a classifier's, which HeadTensors has.
std::vector<TensorSpec> OverlayTensors(const families::Layout& layout, const tasks::TaskSpec& task,
                                       int first_layer, const std::string& file);

class LastLayersSpec : public MethodSpec {
 public:
  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);
  std::string_view name() const override { return "last_layers"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  const tasks::TaskSpec& task) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return 1e-3; }
  bool mergeable() const override { return true; }
  std::string_view artifact_format() const override { return "graft"; }
  int num_layers() const { return num_layers_; }

 private:
  int num_layers_ = 0;
};

class FullSpec : public MethodSpec {
 public:
  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);
  std::string_view name() const override { return "full"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  const tasks::TaskSpec& task) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return 5e-5; }
  bool mergeable() const override { return true; }
  std::string_view artifact_format() const override { return "graft"; }
};

}  // namespace graft::methods
