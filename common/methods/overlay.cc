#include "common/methods/overlay.h"

#include <algorithm>

#include "common/base/fields.h"

namespace graft::methods {
namespace {

constexpr const char* kFile = "model.safetensors";

void SortByName(std::vector<TensorSpec>& tensors) {
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

/// A classifier's; a language model's are the base's own.
std::vector<TensorSpec> NewHeadTensors(const families::Layout& layout,
                                       const tasks::TaskSpec& task) {
  if (task.kind != tasks::Kind::kSequenceClassification) return {};
  return HeadTensors(layout.head, task.outputs(), true, kFile, "");
}

}  // namespace

std::vector<TensorSpec> HeadTensors(const std::vector<families::HeadLinear>& head, int64_t outputs,
                                    bool with_base_head, const std::string& file,
                                    const std::string& key_prefix) {
  std::vector<TensorSpec> tensors;
  for (const families::HeadLinear& linear : head) {
    if (linear.in_base && !with_base_head) continue;
    const int64_t out = linear.out == 0 ? outputs : linear.out;
    const auto add = [&](const char* suffix, std::vector<int64_t> shape, bool decay) {
      tensors.push_back({.name = linear.path + suffix,
                         .shape = std::move(shape),
                         .file = file,
                         .key = key_prefix + linear.path + suffix,
                         .overrides_base = linear.in_base,
                         .decay = decay});
    };
    add(".weight", {out, linear.in}, true);
    if (linear.bias) add(".bias", {out}, false);
  }
  return tensors;
}

std::vector<TensorSpec> OverlayTensors(const families::Layout& layout, const tasks::TaskSpec& task,
                                       int first_layer, const std::string& file) {
  std::vector<std::string> left_out;
  if (task.kind == tasks::Kind::kSequenceClassification) {
    for (const families::HeadLinear& head : layout.head) left_out.push_back(head.path + ".");
    for (const families::HeadLinear& head : layout.language_head) {
      if (head.path != layout.embeddings.words) left_out.push_back(head.path + ".");
    }
  }
  std::vector<TensorSpec> tensors;
  for (const families::TensorShape& tensor : layout.tensors) {
    const bool in_head =
        std::any_of(left_out.begin(), left_out.end(),
                    [&](const std::string& path) { return tensor.name.starts_with(path); });
    if (in_head || tensor.layer < first_layer) continue;
    tensors.push_back({.name = tensor.name,
                       .shape = tensor.shape,
                       .file = file,
                       .key = tensor.name,
                       .overrides_base = true,
                       .decay = tensor.role == families::TensorRole::kMatrix,
                       .layer = tensor.layer});
  }
  return tensors;
}

StatusOr<std::shared_ptr<const MethodSpec>> LastLayersSpec::Parse(const Json& json) {
  Fields fields(json, "method.last_layers");
  auto spec = std::make_shared<LastLayersSpec>();
  spec->num_layers_ = static_cast<int>(fields.Integer("num_layers", 0, 1024, 0));
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

Json LastLayersSpec::ToJson() const { return {{"num_layers", num_layers_}}; }
Json LastLayersSpec::FunctionJson() const { return ToJson(); }

StatusOr<std::shared_ptr<const MethodSpec>> LastLayersSpec::Resolve(
    const families::Layout& layout) const {
  if (num_layers_ > layout.num_layers) {
    return InvalidArgumentError("method.last_layers.num_layers is " + std::to_string(num_layers_) +
                                "; this base has " + std::to_string(layout.num_layers) + " layers")
        .At("method.last_layers.num_layers");
  }
  return std::shared_ptr<const MethodSpec>(std::make_shared<LastLayersSpec>(*this));
}

std::vector<TensorSpec> LastLayersSpec::Tensors(const families::Layout& layout,
                                                const tasks::TaskSpec& task) const {
  std::vector<TensorSpec> tensors = NewHeadTensors(layout, task);
  const int first = static_cast<int>(layout.num_layers) - num_layers_;
  for (TensorSpec& tensor : OverlayTensors(layout, task, first, kFile))
    tensors.push_back(std::move(tensor));
  SortByName(tensors);
  return tensors;
}

std::map<std::string, std::string> LastLayersSpec::ConfigFiles(const families::Layout&,
                                                               const ArtifactContext&) const {
  return {};  // A partial state dict; graft.json says what it belongs to.
}

StatusOr<std::shared_ptr<const MethodSpec>> FullSpec::Parse(const Json& json) {
  Fields fields(json, "method.full");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::make_shared<FullSpec>());
}

Json FullSpec::ToJson() const { return Json::object(); }
Json FullSpec::FunctionJson() const { return ToJson(); }

StatusOr<std::shared_ptr<const MethodSpec>> FullSpec::Resolve(const families::Layout&) const {
  return std::shared_ptr<const MethodSpec>(std::make_shared<FullSpec>(*this));
}

std::vector<TensorSpec> FullSpec::Tensors(const families::Layout& layout,
                                          const tasks::TaskSpec& task) const {
  std::vector<TensorSpec> tensors = NewHeadTensors(layout, task);
  for (TensorSpec& tensor : OverlayTensors(layout, task, -1, kFile))
    tensors.push_back(std::move(tensor));
  SortByName(tensors);
  return tensors;
}

std::map<std::string, std::string> FullSpec::ConfigFiles(const families::Layout& layout,
                                                         const ArtifactContext& context) const {
  // Enough of a config.json that from_pretrained of transformers 4 and 5 makes the same model of
  // the folder. Not the base's own file: a version's name would depend on whatever else stands in
  // it, and version 4 would pass over a rope that 5 wrote.
  Json config = families::ModelConfig(layout);
  config["architectures"] = {layout.model_class + tasks::NamesOf(context.task.kind).class_suffix};
  config["torch_dtype"] = "float32";
  if (context.task.kind == tasks::Kind::kCausalLanguageModeling)
    return {{"config.json", config.dump(2)}};
  config["id2label"] = Json::object();
  config["label2id"] = Json::object();
  const std::vector<std::string>& labels = context.task.label_names;
  for (size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][std::to_string(i)] = labels[i];
    config["label2id"][labels[i]] = i;
  }
  return {{"config.json", config.dump(2)}};
}

}  // namespace graft::methods
