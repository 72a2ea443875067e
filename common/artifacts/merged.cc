#include "common/artifacts/merged.h"

#include <algorithm>

#include "common/artifacts/floats.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/methods/lora.h"

namespace graft::artifacts {
namespace {

using safetensors::DTypeName;

/// `text` without `suffix`; empty if it doesn't end so.
std::string Without(const std::string& text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : std::string();
}

/// Lays the data of `parts` one behind the other; returns the file's beginning.
std::string FileBeginning(const std::vector<safetensors::TensorInfo>& tensors) {
  OrderedJson header;
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const safetensors::TensorInfo& tensor : tensors) {
    header[tensor.name] = {{"dtype", DTypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.size()}}};
    offset += tensor.size();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string begin;
  for (int i = 0; i < 8; ++i) begin += static_cast<char>(text.size() >> (8 * i));
  return begin + text;
}

uint64_t BytesOf(const safetensors::TensorInfo& tensor) {
  uint64_t elements = 1;
  for (const int64_t size : tensor.shape) elements *= static_cast<uint64_t>(size);
  return elements * static_cast<uint64_t>(safetensors::DTypeBits(tensor.dtype)) / 8;
}

}  // namespace

MergedWeights::Part* MergedWeights::Find(const std::string& name) {
  const auto found = std::find_if(parts_.begin(), parts_.end(),
                                  [&](const Part& part) { return part.info.name == name; });
  return found != parts_.end() ? &*found : nullptr;
}

Status MergedWeights::AddBase(const families::Layout& layout, const tasks::TaskSpec& task) {
  std::vector<std::string> left_out;
  if (task.kind == tasks::Kind::kSequenceClassification) {
    for (const families::HeadLinear& head : layout.language_head) {
      if (head.path != layout.embeddings.words) left_out.push_back(head.path + ".");
    }
  }
  for (const families::TensorShape& tensor : layout.tensors) {
    const bool unused = std::any_of(left_out.begin(), left_out.end(), [&](const std::string& path) {
      return tensor.name.starts_with(path);
    });
    if (unused) continue;
    Part part{.info = {.name = tensor.name, .shape = tensor.shape}, .stored = tensor.name};
    if (base_->Find(part.stored) == nullptr && tensor.name.starts_with(layout.prefix))
      part.stored = tensor.name.substr(layout.prefix.size());
    const safetensors::TensorInfo* stored = base_->Find(part.stored);
    if (stored == nullptr) return NotFoundError("the base has no tensor " + tensor.name);
    part.info.dtype = stored->dtype;
    parts_.push_back(std::move(part));
  }
  return OkStatus();
}

Status MergedWeights::Place(const BoundTensor& tensor, const methods::MethodSpec& method) {
  const methods::TensorSpec& spec = *tensor.spec;
  if (spec.overrides_base) {
    if (Part* part = Find(spec.name)) part->replaced = &tensor;
    return OkStatus();
  }
  const auto* lora = dynamic_cast<const methods::LoraSpec*>(&method);
  for (const char* matrix : {".lora_A.weight", ".lora_B.weight"}) {
    const std::string path = Without(spec.name, matrix);
    if (path.empty() || lora == nullptr) continue;
    Part* part = Find(path + ".weight");
    if (part == nullptr) return NotFoundError("the base has no tensor " + path + ".weight");
    (std::string_view(matrix) == ".lora_A.weight" ? part->lora_a : part->lora_b) = &tensor;
    part->scale = lora->ScalingOf(path);
    return OkStatus();
  }
  // A new head, in the type of the base's other weights.
  parts_.push_back(
      {.info = {.name = spec.name, .dtype = parts_.front().info.dtype, .shape = spec.shape},
       .stored = {},
       .replaced = &tensor});
  return OkStatus();
}

StatusOr<std::unique_ptr<MergedWeights>> MergedWeights::Plan(
    std::shared_ptr<const safetensors::Checkpoint> base, const families::Layout& layout,
    const Manifest& manifest, Files files) {
  const methods::MethodSpec& method = *manifest.identity.method;
  if (!method.mergeable()) {
    return FailedPreconditionError(
        "the version's method, " + std::string(method.name()) +
        ", has layers of its own, which can't be merged into the base's weights; export it "
        "without merging");
  }
  std::unique_ptr<MergedWeights> merged(new MergedWeights);
  merged->base_ = std::move(base);
  merged->files_ = std::move(files);
  merged->specs_ = method.Tensors(layout, manifest.identity.task);
  GRAFT_ASSIGN_OR_RETURN(merged->bound_, BindTensors(merged->files_, merged->specs_));
  GRAFT_RETURN_IF_ERROR(merged->AddBase(layout, manifest.identity.task));
  for (const BoundTensor& tensor : merged->bound_)
    GRAFT_RETURN_IF_ERROR(merged->Place(tensor, method));
  for (Part& part : merged->parts_) part.info.end = part.info.begin + BytesOf(part.info);
  // Wider types first, so that all lie at multiples of their width.
  std::stable_sort(merged->parts_.begin(), merged->parts_.end(), [](const Part& a, const Part& b) {
    return safetensors::DTypeBits(a.info.dtype) > safetensors::DTypeBits(b.info.dtype);
  });
  return merged;
}

StatusOr<std::string> MergedWeights::Compute(const Part& part) const {
  const std::string_view dtype = DTypeName(part.info.dtype);
  if (part.replaced != nullptr) {
    if (part.replaced->dtype == dtype) return std::string(part.replaced->data);
    GRAFT_ASSIGN_OR_RETURN(const auto values, ToFloats(part.replaced->dtype, part.replaced->data));
    return FromFloats(dtype, values);
  }
  GRAFT_ASSIGN_OR_RETURN(std::string stored, base_->Read(part.stored));
  if (part.lora_a == nullptr || part.lora_b == nullptr) return stored;
  GRAFT_ASSIGN_OR_RETURN(std::vector<float> weight, ToFloats(dtype, stored));
  GRAFT_ASSIGN_OR_RETURN(const auto a, ToFloats(part.lora_a->dtype, part.lora_a->data));
  GRAFT_ASSIGN_OR_RETURN(const auto b, ToFloats(part.lora_b->dtype, part.lora_b->data));
  const auto out = static_cast<size_t>(part.info.shape[0]);
  const auto in = static_cast<size_t>(part.info.shape[1]);
  const size_t rank = b.size() / out;
  std::vector<float> delta(in);
  for (size_t o = 0; o < out; ++o) {
    std::fill(delta.begin(), delta.end(), 0.0F);
    for (size_t r = 0; r < rank; ++r) {
      const float factor = b[o * rank + r];
      for (size_t i = 0; i < in; ++i) delta[i] += factor * a[r * in + i];
    }
    const auto scale = static_cast<float>(part.scale);
    for (size_t i = 0; i < in; ++i) weight[o * in + i] += scale * delta[i];
  }
  return FromFloats(dtype, weight);
}

std::string MergedWeights::Beginning() const {
  std::vector<safetensors::TensorInfo> tensors;
  for (const Part& part : parts_) tensors.push_back(part.info);
  return FileBeginning(tensors);
}

int64_t MergedWeights::bytes() const {
  size_t bytes = Beginning().size();
  for (const Part& part : parts_) bytes += part.info.size();
  return static_cast<int64_t>(bytes);
}

StatusOr<std::string> MergedWeights::Next() {
  if (next_ > parts_.size()) return std::string();
  if (next_++ == 0) return Beginning();
  const Part& part = parts_[next_ - 2];
  GRAFT_ASSIGN_OR_RETURN(std::string bytes, Compute(part));
  if (bytes.size() != part.info.size())
    return DataLossError("the base's tensor " + Printable(part.info.name, 200) +
                         " hasn't the shape that its config.json says");
  if (next_ > parts_.size()) GRAFT_RETURN_IF_ERROR(base_->CheckUnchanged());
  return bytes;
}

StatusOr<std::string> MergedConfig(const std::string& base_config, const families::Layout& layout,
                                   const tasks::TaskSpec& task) {
  GRAFT_ASSIGN_OR_RETURN(Json config, ParseJson(base_config, "config.json"));
  if (!config.is_object()) return InvalidArgumentError("config.json isn't an object");
  // A rope that transformers 5 wrote is passed over by 4.
  if (layout.causal && config.contains("rope_parameters")) {
    config.erase("rope_parameters");
    const Json written = families::ModelConfig(layout);
    for (const char* field : {"rope_theta", "rope_scaling"}) config[field] = written[field];
  }
  config["architectures"] = {layout.model_class + tasks::NamesOf(task.kind).class_suffix};
  if (task.kind == tasks::Kind::kSequenceClassification) {
    for (const char* field : {"num_labels", "problem_type"}) config.erase(field);
    config["id2label"] = config["label2id"] = Json::object();
    for (size_t i = 0; i < task.label_names.size(); ++i) {
      config["id2label"][std::to_string(i)] = task.label_names[i];
      config["label2id"][task.label_names[i]] = i;
    }
  }
  return config.dump(2) + "\n";
}

}  // namespace graft::artifacts
