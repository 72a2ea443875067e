#include "common/methods/peft_config.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "common/base/utf8.h"
#include "common/methods/foreign_config.h"

namespace graft::methods {
namespace {

constexpr size_t kMaxNames = 4096;
/// Of all expressions that a path is compared with: their steps are taken for each of its bytes.
constexpr size_t kMaxSteps = 50'000;

/// Written: graft's constant value; discarded where graft writes none or a computed one. Allowed:
/// the values under which the adapter means what graft computes; empty where the import reads the
/// field, or where it changes nothing of what is computed.
struct Field {
  const char* key;
  Json written;
  std::vector<Json> allowed;
};

const std::vector<Field>& Table() {
  const Json none = Json(Json::value_t::discarded);
  const Json null = nullptr;
  const std::vector<Json> off = {nullptr};
  // graft writes the keys that PEFT has had for years: older ones raise on unknown keys.
  static const auto* table = new std::vector<Field>{
      {"alora_invocation_tokens", none, off},
      {"alpha_pattern", none, {}},
      {"arrow_config", none, off},
      {"auto_mapping", null, {}},
      {"base_model_name_or_path", none, {}},
      {"bias", none, {"none", "all", "lora_only"}},
      {"corda_config", none, off},
      {"enable_lora", none, off},
      {"ensure_weight_tying", none, {}},
      {"eva_config", none, {}},
      {"exclude_modules", none, {}},
      // PEFT sets it back to false for layers of torch.nn.Linear, and all of these are.
      {"fan_in_fan_out", false, {false, true}},
      {"inference_mode", true, {}},
      {"init_lora_weights", true, {true, false, "gaussian", "eva", "orthogonal"}},
      {"kasa_config", none, off},
      {"layer_replication", none, off},
      {"layers_pattern", null, {}},
      {"layers_to_transform", null, {}},
      {"loftq_config", none, {Json::object(), nullptr}},
      {"lora_alpha", none, {}},
      {"lora_bias", none, {false}},
      {"lora_dropout", none, {}},
      {"lora_ga_config", none, off},
      {"megatron_config", none, off},
      {"megatron_core", none, {}},
      {"merge_weights", none, {}},
      {"modules_to_save", none, {}},
      {"monteclora_config", none, off},
      {"peft_type", "LORA", {}},
      {"peft_version", none, {}},
      {"qalora_group_size", none, {}},
      {"r", none, {}},
      {"rank_pattern", none, {}},
      {"revision", null, {}},
      {"target_modules", none, {}},
      {"target_parameters", none, {nullptr, Json::array()}},
      {"task_type", none, {}},
      {"trainable_token_indices", none, {nullptr, Json::object(), Json::array()}},
      {"use_bdlora", none, {nullptr, false}},
      {"use_dora", false, {false}},
      {"use_qalora", none, {false}},
      {"use_rslora", none, {}},
      {"velora_config", none, off}};
  return *table;
}

/// Reads expressions, within a limit over all.
class Patterns {
 public:
  StatusOr<ModulePattern> Parse(const std::string& pattern, const std::string& key) {
    GRAFT_ASSIGN_OR_RETURN(ModulePattern made,
                           ModulePattern::Parse(pattern, "adapter_config.json: " + key));
    steps_ += made.size();
    if (steps_ > kMaxSteps)
      return BadConfig("the names and regular expressions up to " + key +
                       " are too large together");
    return made;
  }

 private:
  size_t steps_ = 0;
};

/// A list of names, or null.
StatusOr<std::vector<std::string>> Names(const Json& config, const char* key) {
  std::vector<std::string> names;
  const Json value = config.value(key, Json());
  if (value.is_null()) return names;
  if (!value.is_array() || value.size() > kMaxNames) {
    return BadConfig(std::string(key) + " is " + Shown(value) +
                     ", not a list of at most 4096 names");
  }
  for (const Json& name : value) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty()) {
      return BadConfig(std::string(key) + " holds " + Shown(name) + ", which is no module's name");
    }
    names.push_back(name.get<std::string>());
  }
  return names;
}

bool IsAllLinear(const Json& value) {
  if (!value.is_string()) return false;
  return AsciiLower(value.get<std::string>()) == "all-linear";
}

/// The number of the first layer in a path, "a.layer.3.b" -> 3; -1 without one.
int64_t FirstNumber(const std::string& path) {
  size_t begin = path.find('.');
  for (bool first = true; begin != std::string::npos; first = false) {
    const size_t end = path.find('.', begin + 1);
    if (end == std::string::npos) return -1;
    int64_t number = 0;
    const char* last = path.data() + end;
    const auto [rest, error] = std::from_chars(path.data() + begin + 1, last, number);
    // The first two parts are names: PEFT's expression wants one in front of the number's own.
    if (!first && error == std::errc() && rest == last) return number;
    begin = end;
  }
  return -1;
}

}  // namespace

Json ConstantPeftFields() {
  Json fields = Json::object();
  for (const Field& field : Table()) {
    if (!field.written.is_discarded()) fields[field.key] = field.written;
  }
  return fields;
}

Status CheckPeftFields(const Json& config) {
  std::vector<std::string_view> known;
  for (const auto& [key, written, allowed] : Table()) {
    known.emplace_back(key);
    if (!config.contains(key) || allowed.empty()) continue;
    if (std::find(allowed.begin(), allowed.end(), config[key]) != allowed.end()) continue;
    return BadConfig(std::string(key) + " is " + Shown(config[key]) +
                     ", which graft doesn't implement; the adapter would compute something else");
  }
  return RefuseUnknown(config, "adapter_config.json", known);
}

StatusOr<PeftTargets> PeftTargets::Parse(const Json& config) {
  PeftTargets rule;
  Patterns patterns;
  const Json targets = config.value("target_modules", Json());
  if (targets.is_string() && !IsAllLinear(targets)) {
    GRAFT_ASSIGN_OR_RETURN(rule.pattern_,
                           patterns.Parse(targets.get<std::string>(), "target_modules"));
  } else if (!targets.is_string() && !targets.is_null()) {
    GRAFT_ASSIGN_OR_RETURN(rule.names_, Names(config, "target_modules"));
  }
  if (const Json excluded = config.value("exclude_modules", Json()); excluded.is_string()) {
    GRAFT_ASSIGN_OR_RETURN(rule.excluded_pattern_,
                           patterns.Parse(excluded.get<std::string>(), "exclude_modules"));
  } else {
    GRAFT_ASSIGN_OR_RETURN(rule.excluded_, Names(config, "exclude_modules"));
  }
  GRAFT_ASSIGN_OR_RETURN(const auto saved, Names(config, "modules_to_save"));
  for (const std::string& name : saved) {
    GRAFT_ASSIGN_OR_RETURN(ModulePattern parsed,
                           patterns.Parse("(^|.*\\.)" + name + "($|\\..*)", "modules_to_save"));
    rule.saved_.push_back(std::move(parsed));
  }
  if (const Json layers = config.value("layers_to_transform", Json()); layers.is_number_integer()) {
    rule.layers_ = {layers.get<int64_t>()};
  } else if (layers.is_array() && !layers.empty()) {
    rule.layers_.emplace();
    for (const Json& layer : layers) {
      if (!layer.is_number_integer()) return BadConfig("layers_to_transform holds " + Shown(layer));
      rule.layers_->push_back(layer.get<int64_t>());
    }
  } else if (!layers.is_null() && !layers.is_array()) {
    return BadConfig("layers_to_transform is " + Shown(layers) + ", not a list of numbers");
  }
  Json names = config.value("layers_pattern", Json());
  if (names.is_string()) names = names.get_ref<const std::string&>().empty() ? Json() : Json{names};
  GRAFT_ASSIGN_OR_RETURN(const auto layer_names,
                         Names({{"layers_pattern", names}}, "layers_pattern"));
  for (const std::string& name : layer_names) {
    GRAFT_ASSIGN_OR_RETURN(ModulePattern parsed,
                           patterns.Parse("(.*\\.)?" + name + "\\.\\d+\\.", "layers_pattern"));
    rule.layer_patterns_.push_back(std::move(parsed));
  }
  return rule;
}

bool PeftTargets::Excludes(const std::string& path) const {
  if (excluded_pattern_ && excluded_pattern_->Matches(path)) return true;
  return std::any_of(excluded_.begin(), excluded_.end(),
                     [&](const std::string& name) { return IsOrEndsWith(path, name); }) ||
         std::any_of(saved_.begin(), saved_.end(),
                     [&](const ModulePattern& saved) { return saved.Matches(path); });
}

bool PeftTargets::InLayers(const std::string& path) const {
  if (!layers_) return true;
  int64_t layer = -1;
  if (layer_patterns_.empty()) {
    layer = FirstNumber(path);
  } else {
    for (size_t dot = path.find('.'); dot != std::string::npos && layer < 0;
         dot = path.find('.', dot + 1)) {
      const std::string front = path.substr(0, dot + 1);
      if (std::any_of(layer_patterns_.begin(), layer_patterns_.end(),
                      [&](const ModulePattern& pattern) { return pattern.Matches(front); })) {
        const size_t begin = front.rfind('.', front.size() - 2) + 1;
        std::from_chars(front.data() + begin, front.data() + front.size() - 1, layer);
      }
    }
  }
  return layer >= 0 && std::find(layers_->begin(), layers_->end(), layer) != layers_->end();
}

bool PeftTargets::Adapts(const std::string& path) const {
  if (Excludes(path)) return false;
  if (pattern_) return pattern_->Matches(path);
  if (!names_) return false;
  // A path that is listed in full is adapted in every layer.
  if (std::find(names_->begin(), names_->end(), path) != names_->end()) return true;
  return std::any_of(names_->begin(), names_->end(),
                     [&](const std::string& name) { return IsOrEndsWith(path, name); }) &&
         InLayers(path);
}

StatusOr<PeftPattern> PeftPattern::Parse(const OrderedJson& field, const std::string& what) {
  PeftPattern made;
  if (field.is_null()) return made;
  if (!field.is_object() || field.size() > kMaxNames)
    return BadConfig(what + " isn't an object of at most 4096 entries");
  Patterns patterns;
  for (const auto& [key, value] : field.items()) {
    GRAFT_ASSIGN_OR_RETURN(ModulePattern pattern, patterns.Parse("(.*\\.)?(" + key + ")", what));
    made.entries_.emplace_back(std::move(pattern), Json::parse(value.dump()));
  }
  return made;
}

std::optional<Json> PeftPattern::Find(const std::string& path) const {
  for (const auto& [pattern, value] : entries_) {
    if (pattern.Matches(path)) return value;
  }
  return std::nullopt;
}

}  // namespace graft::methods
