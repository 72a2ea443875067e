// Reading LoRA folders of PEFT. Its file names every module that it adapts and every tensor of the
// base that it replaces; its config says the same by rule. Both must agree.

#include <algorithm>
#include <optional>
#include <set>

#include "common/base/utf8.h"
#include "common/methods/foreign_config.h"
#include "common/methods/lora.h"
#include "common/methods/peft_config.h"
#include "common/methods/peft_contents.h"
#include "common/methods/peft_task.h"

namespace graft::methods {
namespace {

using Shapes = PeftContents::Shapes;

/// What is taken over as it is.
const std::vector<ReadAs>& ReadFields() {
  static const std::vector<ReadAs> fields = {{"r", "rank"},
                                             {"lora_alpha", "alpha"},
                                             {"lora_dropout", "dropout"},
                                             {"use_rslora", "rslora"},
                                             {"bias", "bias"}};
  return fields;
}

/// The config's rule and the file must name the same modules.
Status CheckTargets(const PeftTargets& rule, const PeftContents& contents, tasks::Kind kind,
                    const families::Layout& layout) {
  if (contents.adapted.empty()) {
    return InvalidArgumentError(
        "adapter_model.safetensors holds no lora_A and lora_B tensors of this base's layers");
  }
  if (!rule.known()) return OkStatus();
  std::vector<std::string> paths = HeadPaths(kind, layout);
  for (const families::Linear& linear : layout.linears) paths.push_back(linear.path);
  for (const std::string& path : paths) {
    const bool adapted = contents.adapted.contains(path);
    if (adapted == rule.Adapts(path)) continue;
    return BadConfig(
        adapted ? "by its target_modules and the fields beside it, " + path +
                      " isn't adapted, but adapter_model.safetensors holds LoRA tensors of it"
                : "by its target_modules and the fields beside it, " + path +
                      " is adapted, but adapter_model.safetensors lacks its LoRA tensors");
  }
  return OkStatus();
}

/// Every module of the base that modules_to_save names must be in the file, whole.
Status CheckSaved(const Json& config, const PeftContents& contents,
                  const families::Layout& layout) {
  const Json saved = config.value("modules_to_save", Json());
  if (!saved.is_array()) return OkStatus();
  for (const Json& name : saved) {
    const auto& text = name.get_ref<const std::string&>();
    for (const families::TensorShape& tensor : layout.tensors) {
      bool named = false;
      // PEFT compares the ends of paths, not of names between dots.
      for (size_t dot = tensor.name.find('.'); dot != std::string::npos;
           dot = tensor.name.find('.', dot + 1)) {
        named |= std::string_view(tensor.name).substr(0, dot).ends_with(text);
      }
      if (!named || contents.replaced.contains(tensor.name)) continue;
      return BadConfig("modules_to_save names " + Quoted(text) +
                       ", but adapter_model.safetensors lacks " + tensor.name);
    }
  }
  return OkStatus();
}

/// The list as the config has it (or its default) if it names exactly what is adapted, else every
/// path in full.
Json TargetModules(const PeftTargets& rule, const PeftContents& contents,
                   const families::Layout& layout) {
  const std::vector<families::Linear> linears = LoraSpec::Adaptable(layout);
  std::vector<std::string> names;
  std::set<std::string> named;
  for (const std::string& name : rule.names().value_or(layout.default_lora_targets)) {
    bool used = false;
    for (const families::Linear& linear : linears) {
      if (!IsOrEndsWith(linear.path, name)) continue;
      named.insert(linear.path);
      used = true;
    }
    if (used) names.push_back(name);
  }
  if (named == contents.adapted) return names;
  return contents.adapted;
}

/// Modules that are replaced whole; what `bias` replaces alone isn't one.
std::set<std::string> SavedModules(const PeftContents& contents, const std::string& bias) {
  std::set<std::string> modules;
  for (const std::string& name : contents.replaced) {
    const std::string module = name.substr(0, name.rfind('.'));
    const bool by_bias =
        name.ends_with(".bias") &&
        (bias == "all" || (bias == "lora_only" && contents.adapted.contains(module)));
    if (!by_bias) modules.insert(module);
  }
  return modules;
}

bool HasLargeObject(const Json& json) {
  constexpr size_t kMostEntries = 4096;
  if (json.is_object() && json.size() > kMostEntries) return true;
  return json.is_structured() && std::any_of(json.begin(), json.end(), HasLargeObject);
}

/// rank_pattern or alpha_pattern for the modules that are adapted, by their paths.
StatusOr<Json> Expanded(const OrderedJson& config, const char* field, const Json& common,
                        const PeftContents& contents) {
  GRAFT_ASSIGN_OR_RETURN(const PeftPattern pattern,
                         PeftPattern::Parse(config.value(field, OrderedJson()), field));
  Json expanded = Json::object();
  for (const std::string& path : contents.adapted) {
    const std::optional<Json> value = pattern.Find(path);
    if (value && *value != common) expanded[path] = *value;
  }
  return expanded;
}

}  // namespace

StatusOr<ImportedMethod> LoraSpec::Import(const Json& config, const std::string& text,
                                          const Shapes& shapes, const families::Layout& layout) {
  GRAFT_RETURN_IF_ERROR(CheckPeftFields(config));
  Json fields = Json::object();
  for (const auto& [theirs, ours] : ReadFields()) {
    if (!config.contains(theirs)) continue;
    if (config[theirs].is_null()) return BadConfig(theirs + " is null");
    fields[ours] = config[theirs];
  }
  // PEFT's defaults, which aren't all graft's.
  if (!fields.contains("rank")) fields["rank"] = 8;
  if (!fields.contains("alpha")) fields["alpha"] = 8;
  GRAFT_ASSIGN_OR_RETURN(const PeftTargets rule, PeftTargets::Parse(config));
  GRAFT_ASSIGN_OR_RETURN(PeftContents contents, PeftContents::Read(shapes, layout));
  ImportedMethod imported;
  GRAFT_ASSIGN_OR_RETURN(imported.task.kind, PeftTask(config, contents, layout));
  GRAFT_RETURN_IF_ERROR(CheckPeftHead(config, contents, imported.task.kind, layout));
  if (imported.task.kind == tasks::Kind::kCausalLanguageModeling)
    GRAFT_RETURN_IF_ERROR(TieHead(config, layout, contents));
  GRAFT_RETURN_IF_ERROR(CheckTargets(rule, contents, imported.task.kind, layout));
  GRAFT_RETURN_IF_ERROR(CheckSaved(config, contents, layout));
  fields["target_modules"] = TargetModules(rule, contents, layout);
  fields["modules_to_save"] = SavedModules(contents, fields.value("bias", "none"));
  // Once more in the file's order, which decides between patterns. Such objects look each new key
  // up from their beginning.
  if (HasLargeObject(config)) return BadConfig("an object in it has more than 4096 entries");
  const OrderedJson ordered = OrderedJson::parse(text);
  GRAFT_ASSIGN_OR_RETURN(fields["rank_pattern"],
                         Expanded(ordered, "rank_pattern", fields["rank"], contents));
  GRAFT_ASSIGN_OR_RETURN(fields["alpha_pattern"],
                         Expanded(ordered, "alpha_pattern", fields["alpha"], contents));
  GRAFT_ASSIGN_OR_RETURN(imported.method, ResolveRead(Parse(fields), "lora", ReadFields(), layout));
  imported.renamed_keys = contents.names;
  if (const Json base = config.value("base_model_name_or_path", Json()); base.is_string())
    imported.declared_base = base.get<std::string>();
  return imported;
}

}  // namespace graft::methods
