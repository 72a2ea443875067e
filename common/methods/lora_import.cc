// Reading LoRA folders of PEFT. Its file names every module that it adapts and every tensor of the
// base that it replaces; its config says the same by rule. Both must agree.

#include <algorithm>
#include <optional>
#include <set>

#include "common/base/utf8.h"
#include "common/methods/foreign_config.h"
#include "common/methods/lora.h"
#include "common/methods/peft_config.h"

namespace graft::methods {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

/// What is taken over as it is.
const std::vector<ReadAs>& ReadFields() {
  static const std::vector<ReadAs> fields = {{"r", "rank"},
                                             {"lora_alpha", "alpha"},
                                             {"lora_dropout", "dropout"},
                                             {"use_rslora", "rslora"},
                                             {"bias", "bias"}};
  return fields;
}

Status BadTensor(const std::string& key, const std::string& what) {
  return InvalidArgumentError("adapter_model.safetensors: the tensor " + Printable(key, 200) + " " +
                              what);
}

void Erase(std::string& text, std::string_view part) {
  for (size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
}

/// A tensor's name without what PEFT, its versions and wrappers put around it.
struct PlainName {
  std::string name;
  bool plain = true;      ///< PEFT loads exactly this key; other keys of the same name are copies.
  bool original = false;  ///< The base's own copy of a module that is saved beside it.
  std::string saved_at = {};  ///< The module that modules_to_save made a copy of; empty if none.
};

PlainName Plain(const std::string& key, const families::Layout& layout) {
  PlainName made{.name = key};
  std::string& name = made.name;
  for (const char* wrapper : {"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."})
    Erase(name, wrapper);
  while (name.starts_with("base_model.model.") || name.starts_with("module.")) {
    name.erase(0, name.starts_with("module.") ? 7 : 17);
  }
  if (const size_t at = name.find(".original_module."); at != std::string::npos) {
    made.original = true;
    name.erase(at, std::string_view(".original_module").size());
  }
  // ".lora_A.default.weight": the adapter's name, which PEFT leaves out on saving.
  for (const char* part : {".lora_A.", ".lora_B.", ".modules_to_save."}) {
    const size_t at = name.find(part);
    if (at == std::string::npos) continue;
    const bool saved = std::string_view(part) == ".modules_to_save.";
    const size_t begin = at + std::string_view(part).size();
    const size_t dot = name.find('.', begin);
    const bool named = dot != std::string::npos;
    if (saved) made.plain = false;
    if (saved) made.saved_at = name.substr(0, at);
    if (named) name.erase(begin, dot + 1 - begin);
    if (saved) name.erase(at, std::string_view(part).size() - 1);
  }
  if (const size_t at = name.find(".base_layer."); at != std::string::npos)
    name.erase(at, std::string_view(".base_layer").size());
  // From a model without a head: transformers leaves the family's prefix out there.
  const auto known = [&](const std::string& full) {
    return std::any_of(layout.tensors.begin(), layout.tensors.end(),
                       [&](const auto& tensor) { return tensor.name.starts_with(full); });
  };
  const size_t lora = name.find(".lora_");
  const std::string module = name.substr(0, lora == std::string::npos ? name.rfind('.') : lora);
  if (!known(module + ".") && known(layout.prefix + module + ".")) name = layout.prefix + name;
  return made;
}

/// What the file holds, by what it is to the base.
struct Contents {
  std::map<std::string, std::string> names;  ///< Key -> TensorSpec::name; "" for a copy.
  std::set<std::string> adapted;             ///< Paths of modules with lora_A or lora_B.
  std::set<std::string> replaced;            ///< Base tensors.
  std::set<std::string> head;                ///< Tensors of new head linears.
};

/// Why a tensor that PEFT may save has no place here.
std::string Foreign(const std::string& name) {
  if (name.find("lora_magnitude_vector") != std::string::npos)
    return "belongs to DoRA, which isn't built";
  if (name.find("lora_embedding_") != std::string::npos)
    return "adapts an embedding, which isn't built: LoRA of linear layers is";
  if (name.ends_with(".lora_B.bias")) return "is a bias of LoRA's (lora_bias), which isn't built";
  if (name.find("trainable_tokens") != std::string::npos)
    return "replaces single tokens' embeddings (trainable_token_indices), which isn't built";
  return "belongs to nothing in this method and base";
}

class Reader {
 public:
  Reader(const Shapes& shapes, const families::Layout& layout) {
    for (const families::Linear& linear : LoraSpec::Adaptable(layout)) linears_.insert(linear.path);
    for (const families::TensorShape& tensor : layout.tensors) base_.insert(tensor.name);
    for (const families::HeadLinear& head : layout.head) {
      if (head.in_base) continue;
      new_head_.insert(head.path + ".weight");
      if (head.bias) new_head_.insert(head.path + ".bias");
    }
    for (const auto& [key, shape] : shapes) plain_.emplace(key, Plain(key, layout));
    for (const auto& [key, name] : plain_) {
      if (name.plain && !name.original) loaded_.insert(name.name);
    }
  }

  StatusOr<Contents> Read(const Shapes& shapes) {
    Contents contents;
    std::map<std::string, std::string> taken;
    GRAFT_RETURN_IF_ERROR(CheckNesting());
    for (const auto& [key, shape] : shapes) {
      const PlainName& plain = plain_.at(key);
      const bool copy = plain.original || (!plain.plain && loaded_.contains(plain.name));
      if (copy && (base_.contains(plain.name) || new_head_.contains(plain.name))) {
        contents.names[key] = "";
        continue;
      }
      if (key.ends_with(".base_layer.weight") &&
          linears_.contains(plain.name.substr(0, plain.name.rfind('.')))) {
        return BadTensor(key,
                         "is the base's own weight: the file holds a whole model's state; save "
                         "the adapter alone with save_pretrained");
      }
      if (const auto [other, added] = taken.emplace(plain.name, key); !added) {
        return BadTensor(key, "is the same as " + Printable(other->second, 200) +
                                  ": the file holds two adapters; save one of them");
      }
      GRAFT_RETURN_IF_ERROR(Place(key, plain.name, shape, contents));
      contents.names[key] = plain.name;
    }
    return contents;
  }

 private:
  /// A module that is saved within another one is in the file more than once, with other values,
  /// and PEFT can't load it again.
  Status CheckNesting() const {
    std::map<std::string, std::string> modules;
    for (const auto& [key, plain] : plain_) {
      if (plain.saved_at.empty() || plain.original) continue;
      const auto [other, added] = modules.emplace(plain.name, plain.saved_at);
      if (added || other->second == plain.saved_at) continue;
      return BadTensor(key, "is saved with " + Printable(other->second, 200) + " and with " +
                                Printable(plain.saved_at, 200) +
                                ": modules_to_save names a module and one within it, and the file "
                                "holds more than one state of both. Train it again with names of "
                                "which none ends another's path");
    }
    return OkStatus();
  }

  Status Place(const std::string& key, const std::string& name, const std::vector<int64_t>& shape,
               Contents& contents) {
    for (const char* suffix : {".lora_A.weight", ".lora_B.weight"}) {
      if (!name.ends_with(suffix)) continue;
      const std::string path = name.substr(0, name.size() - std::string_view(suffix).size());
      if (new_head_.contains(path + ".weight")) {
        return BadTensor(key, "adapts the head's " + path +
                                  ", whose own weights aren't in the folder; save the head whole "
                                  "(modules_to_save) instead of adapting it");
      }
      if (!linears_.contains(path)) return BadTensor(key, "adapts no linear layer of this base");
      if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
        return BadTensor(key,
                         "is empty. DeepSpeed ZeRO-3 and FSDP save such folders when the shards "
                         "aren't gathered first; gather the parameters and save the adapter again");
      }
      contents.adapted.insert(path);
      return OkStatus();
    }
    if (new_head_.contains(name)) {
      contents.head.insert(name);
      return OkStatus();
    }
    if (!base_.contains(name)) return BadTensor(key, Foreign(name));
    contents.replaced.insert(name);
    return OkStatus();
  }

  std::set<std::string> linears_, base_, new_head_;
  std::map<std::string, PlainName> plain_;
  std::set<std::string> loaded_;
};

Status CheckTask(const Json& config) {
  const Json task = config.value("task_type", Json());
  if (task.is_null() || task == "SEQ_CLS") return OkStatus();
  if (task == "FEATURE_EXTRACTION") {
    return BadConfig(
        "task_type is \"FEATURE_EXTRACTION\": the adapter was trained on a model without a "
        "classification head, and graft serves classifiers; train it with a head (SEQ_CLS)");
  }
  return BadConfig("task_type is " + Shown(task) + "; only SEQ_CLS is built for this base");
}

Status CheckHead(const Json& config, const Contents& contents, const families::Layout& layout) {
  for (const families::HeadLinear& head : layout.head) {
    if (head.in_base) continue;
    for (const std::string suffix : {".weight", ".bias"}) {
      if (contents.head.contains(head.path + suffix) || (suffix == ".bias" && !head.bias)) continue;
      return BadConfig("the folder lacks the head's " + head.path + suffix +
                       " (modules_to_save is " + Shown(config.value("modules_to_save", Json())) +
                       "): it can't classify without it. Train and save the adapter with task_type "
                       "SEQ_CLS, or with the head in modules_to_save");
    }
  }
  return OkStatus();
}

/// The config's rule and the file must name the same modules.
Status CheckTargets(const PeftTargets& rule, const Contents& contents,
                    const families::Layout& layout) {
  if (contents.adapted.empty()) {
    return InvalidArgumentError(
        "adapter_model.safetensors holds no lora_A and lora_B tensors of this base's layers");
  }
  if (!rule.known()) return OkStatus();
  std::vector<std::string> paths;
  for (const families::Linear& linear : layout.linears) paths.push_back(linear.path);
  for (const families::HeadLinear& head : layout.head) paths.push_back(head.path);
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
Status CheckSaved(const Json& config, const Contents& contents, const families::Layout& layout) {
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
Json TargetModules(const PeftTargets& rule, const Contents& contents,
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
std::set<std::string> SavedModules(const Contents& contents, const std::string& bias) {
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
                        const Contents& contents) {
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
  GRAFT_RETURN_IF_ERROR(CheckTask(config));
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
  GRAFT_ASSIGN_OR_RETURN(const Contents contents, Reader(shapes, layout).Read(shapes));
  GRAFT_RETURN_IF_ERROR(CheckHead(config, contents, layout));
  GRAFT_RETURN_IF_ERROR(CheckTargets(rule, contents, layout));
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
  ImportedMethod imported;
  GRAFT_ASSIGN_OR_RETURN(imported.method, ResolveRead(Parse(fields), "lora", ReadFields(), layout));
  imported.renamed_keys = contents.names;
  if (const Json base = config.value("base_model_name_or_path", Json()); base.is_string())
    imported.declared_base = base.get<std::string>();
  return imported;
}

}  // namespace graft::methods
