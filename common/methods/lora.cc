#include "common/methods/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/methods/fields.h"
#include "common/methods/foreign_config.h"
#include "common/methods/overlay.h"

namespace graft::methods {
namespace {

constexpr const char* kFile = "adapter_model.safetensors";
constexpr const char* kKeyPrefix = "base_model.model.";

/// PEFT's rule for a list: the whole path, or its end behind a dot.
bool Matches(const std::string& path, const std::string& target) {
  return path == target || path.ends_with("." + target);
}

/// PEFT's modules_to_save: the last names of what the head trains.
std::vector<std::string> ModulesToSave(const families::Layout& layout) {
  std::vector<std::string> names;
  for (const families::HeadLinear& linear : layout.head) {
    if (linear.in_base) continue;
    // PEFT wraps modules, and BERT's pooler is the module around the dense layer.
    const bool pooler = linear.path.ends_with(".pooler.dense");
    names.push_back(pooler ? "pooler" : linear.path.substr(linear.path.rfind('.') + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A PEFT field that must have its default, or the adapter means something that graft doesn't
/// compute.
Status RefuseUnlessDefault(const Json& config) {
  static const std::vector<std::pair<const char*, std::vector<Json>>> kDefaults = {
      {"alora_invocation_tokens", {nullptr}},
      {"alpha_pattern", {Json::object(), nullptr}},
      {"arrow_config", {nullptr}},
      {"bias", {"none"}},
      {"corda_config", {nullptr}},
      {"eva_config", {nullptr}},
      {"exclude_modules", {nullptr, Json::array()}},
      {"fan_in_fan_out", {false}},
      {"init_lora_weights", {true, false, "gaussian", "eva"}},
      {"kasa_config", {nullptr}},
      {"layer_replication", {nullptr}},
      {"layers_pattern", {nullptr}},
      {"layers_to_transform", {nullptr}},
      {"loftq_config", {Json::object(), nullptr}},
      {"lora_bias", {false}},
      {"lora_ga_config", {nullptr}},
      {"megatron_config", {nullptr}},
      {"monteclora_config", {nullptr}},
      {"rank_pattern", {Json::object(), nullptr}},
      {"target_parameters", {nullptr, Json::array()}},
      {"trainable_token_indices", {nullptr}},
      {"use_bdlora", {nullptr, false}},
      {"use_dora", {false}},
      {"use_qalora", {false}},
      {"velora_config", {nullptr}}};
  for (const auto& [name, allowed] : kDefaults) {
    if (!config.contains(name)) continue;
    if (std::find(allowed.begin(), allowed.end(), config[name]) == allowed.end()) {
      return InvalidArgumentError(
          std::string("adapter_config.json: ") + name + " is " + Shown(config[name]) +
          ", which graft doesn't implement; the adapter would compute something else");
    }
  }
  // Those above, those that Import reads, and those that change nothing of what is computed.
  std::vector<std::string_view> known = {"auto_mapping",
                                         "base_model_name_or_path",
                                         "ensure_weight_tying",
                                         "inference_mode",
                                         "lora_alpha",
                                         "lora_dropout",
                                         "megatron_core",
                                         "modules_to_save",
                                         "peft_type",
                                         "peft_version",
                                         "qalora_group_size",
                                         "r",
                                         "revision",
                                         "target_modules",
                                         "task_type",
                                         "use_rslora"};
  for (const auto& [name, allowed] : kDefaults) known.emplace_back(name);
  return RefuseUnknown(config, "adapter_config.json", known);
}

}  // namespace

StatusOr<std::shared_ptr<const MethodSpec>> LoraSpec::Parse(const Json& json) {
  Fields fields(json, "method.lora");
  auto spec = std::make_shared<LoraSpec>();
  spec->rank_ = static_cast<int>(fields.Integer("rank", 1, 1024, 8));
  spec->alpha_ = fields.Number("alpha", 0, 1e6, 2.0 * spec->rank_, Fields::Bounds::kOpenLow);
  spec->dropout_ = fields.Number("dropout", 0, 1, 0, Fields::Bounds::kOpenHigh);
  spec->rslora_ = fields.Flag("rslora", false);
  spec->target_modules_ = fields.Texts("target_modules", 256, 256);
  for (const std::string& target : spec->target_modules_) {
    if (target.empty()) fields.Fail("target_modules", "holds an empty name");
  }
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

Json LoraSpec::ToJson() const {
  return {{"rank", rank_},
          {"alpha", alpha_},
          {"dropout", dropout_},
          {"rslora", rslora_},
          {"target_modules", target_modules_}};
}

Json LoraSpec::FunctionJson() const {
  return {{"rank", rank_}, {"alpha", alpha_}, {"rslora", rslora_}};
}

StatusOr<std::shared_ptr<const MethodSpec>> LoraSpec::Resolve(
    const families::Layout& layout) const {
  auto spec = std::make_shared<LoraSpec>(*this);
  std::vector<std::string>& targets = spec->target_modules_;
  if (targets.empty()) targets = layout.default_lora_targets;
  if (targets == std::vector<std::string>{"all-linear"}) targets = layout.LinearNames();
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  std::string known;
  for (const std::string& name : layout.LinearNames()) known += (known.empty() ? "" : ", ") + name;
  for (const std::string& target : targets) {
    for (const families::HeadLinear& head : layout.head) {
      // PEFT would wrap it too, by the same rule, and the files would mean different things to
      // both.
      if (!Matches(head.path, target)) continue;
      return InvalidArgumentError("method.lora.target_modules: \"" + target +
                                  "\" also names the head's " + head.path +
                                  "; name the layers in full: " + known)
          .At("method.lora.target_modules");
    }
    const bool found =
        std::any_of(layout.linears.begin(), layout.linears.end(),
                    [&](const families::Linear& linear) { return Matches(linear.path, target); });
    if (!found) {
      return InvalidArgumentError(
                 "method.lora.target_modules: no linear layer of this base is called \"" + target +
                 "\"; there are " + known)
          .At("method.lora.target_modules", "NO_SUCH_MODULE");
    }
  }
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

double LoraSpec::scaling() const {
  return rslora_ ? alpha_ / std::sqrt(static_cast<double>(rank_)) : alpha_ / rank_;
}

bool LoraSpec::Targets(const families::Linear& linear) const {
  return std::any_of(target_modules_.begin(), target_modules_.end(),
                     [&](const std::string& target) { return Matches(linear.path, target); });
}

std::vector<TensorSpec> LoraSpec::Tensors(const families::Layout& layout,
                                          int64_t num_labels) const {
  std::vector<TensorSpec> tensors;
  for (const families::Linear& linear : layout.linears) {
    if (!Targets(linear)) continue;
    const auto add = [&](const char* suffix, std::vector<int64_t> shape) {
      tensors.push_back({.name = linear.path + suffix,
                         .shape = std::move(shape),
                         .file = kFile,
                         .key = kKeyPrefix + linear.path + suffix,
                         .layer = linear.layer});
    };
    add(".lora_A.weight", {rank_, linear.in});
    add(".lora_B.weight", {linear.out, rank_});
  }
  for (TensorSpec& head : HeadTensors(layout, num_labels, false, kFile, kKeyPrefix))
    tensors.push_back(std::move(head));
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return tensors;
}

std::map<std::string, std::string> LoraSpec::ConfigFiles(const families::Layout& layout,
                                                         const ArtifactContext& context) const {
  // The keys that PEFT has had for years: older ones raise on unknown keys.
  const Json alpha =
      alpha_ == std::floor(alpha_) ? Json(static_cast<int64_t>(alpha_)) : Json(alpha_);
  const Json config = {{"alpha_pattern", Json::object()},
                       {"auto_mapping", nullptr},
                       {"base_model_name_or_path", context.base},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"inference_mode", true},
                       {"init_lora_weights", true},
                       {"layers_pattern", nullptr},
                       {"layers_to_transform", nullptr},
                       {"lora_alpha", alpha},
                       {"lora_dropout", dropout_},
                       {"modules_to_save", ModulesToSave(layout)},
                       {"peft_type", "LORA"},
                       {"r", rank_},
                       {"rank_pattern", Json::object()},
                       {"revision", nullptr},
                       {"target_modules", target_modules_},
                       {"task_type", "SEQ_CLS"},
                       {"use_dora", false},
                       {"use_rslora", rslora_}};
  return {{"adapter_config.json", config.dump(2)}};
}

StatusOr<ImportedMethod> LoraSpec::Import(
    const Json& config, const std::map<std::string, std::vector<int64_t>>& /*tensor_shapes*/,
    const families::Layout& layout) {
  const auto bad = [](const std::string& what) {
    return InvalidArgumentError("adapter_config.json: " + what);
  };
  GRAFT_RETURN_IF_ERROR(RefuseUnlessDefault(config));
  if (config.contains("task_type") && !config["task_type"].is_null() &&
      config["task_type"] != "SEQ_CLS") {
    return bad("task_type is " + Shown(config["task_type"]) +
               "; only SEQ_CLS is built for this base");
  }
  Json fields = Json::object();
  for (const auto& [theirs, ours] : {std::pair{"r", "rank"},
                                     {"lora_alpha", "alpha"},
                                     {"lora_dropout", "dropout"},
                                     {"use_rslora", "rslora"}}) {
    if (!config.contains(theirs)) continue;
    if (config[theirs].is_null()) return bad(std::string(theirs) + " is null");
    fields[ours] = config[theirs];
  }
  if (!config.contains("lora_alpha")) fields["alpha"] = 8;  // PEFT's default, which isn't graft's.
  const Json targets = config.value("target_modules", Json());
  if (targets.is_string() && targets == "all-linear") {
    // In PEFT this includes BERT's pooler, which would be a different adapter.
    return bad(
        "target_modules is \"all-linear\"; save the adapter with the list that PEFT expanded it "
        "to");
  }
  if (targets.is_string())
    return bad("target_modules is a regular expression; graft reads a list of names");
  if (!targets.is_null()) fields["target_modules"] = targets;
  GRAFT_ASSIGN_OR_RETURN(const auto parsed, Parse(fields));
  GRAFT_ASSIGN_OR_RETURN(const auto method, parsed->Resolve(layout));
  std::vector<std::string> saved;
  if (const Json modules = config.value("modules_to_save", Json()); modules.is_array()) {
    for (const Json& module : modules) {
      if (module.is_string()) saved.push_back(module.get<std::string>());
    }
  }
  // PEFT adds classifier and score to modules_to_save by itself for SEQ_CLS, so a name too many is
  // harmless.
  for (const std::string& needed : ModulesToSave(layout)) {
    if (std::find(saved.begin(), saved.end(), needed) == saved.end()) {
      return bad("modules_to_save lacks \"" + needed +
                 "\", so the folder doesn't hold the whole classification head; train and save it "
                 "with that module");
    }
  }
  return ImportedMethod{method, {}, {}};
}

}  // namespace graft::methods
