#include "common/methods/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/base/fields.h"
#include "common/families/language_head.h"
#include "common/methods/overlay.h"
#include "common/methods/peft_config.h"
#include "common/methods/saved_modules.h"

namespace graft::methods {
namespace {

constexpr const char* kFile = "adapter_model.safetensors";
constexpr const char* kKeyPrefix = "base_model.model.";

const std::vector<std::string>& BiasNames() {
  static const auto* names = new std::vector<std::string>{"none", "all", "lora_only"};
  return *names;
}

/// PEFT's modules_to_save: the last names of what the head trains.
std::vector<std::string> HeadModules(const std::vector<families::HeadLinear>& head) {
  std::vector<std::string> names;
  for (const families::HeadLinear& linear : head) {
    if (linear.in_base) continue;
    names.push_back(linear.peft_module.empty() ? linear.path.substr(linear.path.rfind('.') + 1)
                                               : linear.peft_module);
  }
  std::sort(names.begin(), names.end());
  return names;
}

template <typename Value>
const Value* FindByName(const std::map<std::string, Value>& values, const std::string& path) {
  for (const auto& [name, value] : values) {
    if (IsOrEndsWith(path, name)) return &value;
  }
  return nullptr;
}

/// Reads {"query": 4}; `each` checks and keeps one entry.
template <typename Each>
void ReadPattern(Fields& fields, const char* field, const Each& each) {
  if (!fields.Has(field)) return;
  const Json& pattern = fields.raw(field);
  if (!pattern.is_object() || pattern.size() > 4096)
    return fields.Fail(field, "must name at most 4096 modules");
  for (const auto& [name, value] : pattern.items()) {
    if (name.empty() || name.size() > 256 || !each(name, value))
      return fields.Fail(field, "can't be " + Printable(value.dump()) + " for " + Quoted(name));
  }
}

/// Each name must fit one adapted module, and no module may be named twice.
template <typename Value>
Status CheckPattern(const std::map<std::string, Value>& pattern, const char* field,
                    const std::vector<families::Linear>& adapted) {
  const std::string path = std::string("method.lora.") + field;
  std::map<std::string, std::string> by_module;
  for (const auto& [name, value] : pattern) {
    bool found = false;
    for (const families::Linear& linear : adapted) {
      if (!IsOrEndsWith(linear.path, name)) continue;
      found = true;
      if (const auto [other, added] = by_module.emplace(linear.path, name); !added) {
        return InvalidArgumentError(path + ": " + Quoted(name) + " and " + Quoted(other->second) +
                                    " both name " + linear.path)
            .At(path);
      }
    }
    if (!found) {
      return InvalidArgumentError(path + ": no adapted module is called " + Quoted(name)).At(path);
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const MethodSpec>> LoraSpec::Parse(const Json& json) {
  Fields fields(json, "method.lora");
  auto spec = std::make_shared<LoraSpec>();
  spec->rank_ = static_cast<int>(fields.Integer("rank", 1, 1024, 8));
  spec->alpha_ = fields.Number("alpha", 0, 1e6, 2.0 * spec->rank_, Fields::Bounds::kOpenLow);
  spec->dropout_ = fields.Number("dropout", 0, 1, 0, Fields::Bounds::kOpenHigh);
  spec->rslora_ = fields.Flag("rslora", false);
  spec->target_modules_ = fields.Texts("target_modules", 4096, 256);
  spec->modules_to_save_ = fields.Texts("modules_to_save", 4096, 256);
  for (const auto& [field, names] : {std::pair("target_modules", &spec->target_modules_),
                                     std::pair("modules_to_save", &spec->modules_to_save_)}) {
    if (std::find(names->begin(), names->end(), "") != names->end())
      fields.Fail(field, "holds an empty name");
  }
  ReadPattern(fields, "rank_pattern", [&](const std::string& name, const Json& rank) {
    const bool good = rank.is_number_integer() && rank >= 1 && rank <= 1024;
    if (good) spec->rank_pattern_[name] = rank.get<int>();
    return good;
  });
  ReadPattern(fields, "alpha_pattern", [&](const std::string& name, const Json& alpha) {
    const bool good = alpha.is_number() && alpha > 0 && alpha <= 1e6;
    if (good) spec->alpha_pattern_[name] = alpha.get<double>();
    return good;
  });
  spec->biases_ = static_cast<Biases>(fields.Choice("bias", BiasNames(), 0));
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

Json LoraSpec::ToJson() const {
  Json json = {{"rank", rank_},
               {"alpha", alpha_},
               {"dropout", dropout_},
               {"rslora", rslora_},
               {"target_modules", target_modules_}};
  if (!rank_pattern_.empty()) json["rank_pattern"] = rank_pattern_;
  if (!alpha_pattern_.empty()) json["alpha_pattern"] = alpha_pattern_;
  if (!modules_to_save_.empty()) json["modules_to_save"] = modules_to_save_;
  if (biases_ != Biases::kNone) json["bias"] = BiasNames()[static_cast<size_t>(biases_)];
  return json;
}

Json LoraSpec::FunctionJson() const {
  return {{"rank", rank_},
          {"alpha", alpha_},
          {"rslora", rslora_},
          {"rank_pattern", rank_pattern_},
          {"alpha_pattern", alpha_pattern_}};
}

std::vector<families::Linear> LoraSpec::Adaptable(const families::Layout& layout) {
  std::vector<families::Linear> linears = layout.linears;
  for (const families::HeadLinear& head : layout.head) {
    if (head.in_base) linears.push_back({.path = head.path, .in = head.in, .out = head.out});
  }
  return linears;
}

StatusOr<std::shared_ptr<const MethodSpec>> LoraSpec::Resolve(
    const families::Layout& layout) const {
  auto spec = std::make_shared<LoraSpec>(*this);
  std::vector<std::string>& targets = spec->target_modules_;
  if (targets.empty()) targets = layout.default_lora_targets;
  if (targets.size() == 1 && AsciiLower(targets.front()) == "all-linear")
    targets = layout.LinearNames();
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  std::string known;
  for (const std::string& name : layout.LinearNames()) known += (known.empty() ? "" : ", ") + name;
  const std::vector<families::Linear> adaptable = Adaptable(layout);
  for (const std::string& target : targets) {
    for (const families::HeadLinear& head : layout.head) {
      // PEFT would wrap it too, by the same rule, and the files would mean different things to
      // both.
      if (head.in_base || !IsOrEndsWith(head.path, target)) continue;
      return InvalidArgumentError("method.lora.target_modules: " + Quoted(target) +
                                  " also names a classifier head's " + head.path +
                                  ", which is trained whole; name the layers in full: " + known)
          .At("method.lora.target_modules");
    }
    const bool found = std::any_of(
        adaptable.begin(), adaptable.end(),
        [&](const families::Linear& linear) { return IsOrEndsWith(linear.path, target); });
    if (!found) {
      return InvalidArgumentError(
                 "method.lora.target_modules: no linear layer of this base is "
                 "called " +
                 Quoted(target) + "; there are " + known)
          .At("method.lora.target_modules", "NO_SUCH_MODULE");
    }
  }
  std::vector<families::Linear> adapted;
  for (const families::Linear& linear : adaptable) {
    if (spec->Targets(linear)) adapted.push_back(linear);
  }
  GRAFT_RETURN_IF_ERROR(CheckPattern(rank_pattern_, "rank_pattern", adapted));
  GRAFT_RETURN_IF_ERROR(CheckPattern(alpha_pattern_, "alpha_pattern", adapted));
  GRAFT_RETURN_IF_ERROR(CheckSavedModules(modules_to_save_, adapted, layout));
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

int LoraSpec::RankOf(const std::string& path) const {
  const int* own = FindByName(rank_pattern_, path);
  return own != nullptr ? *own : rank_;
}

double LoraSpec::AlphaOf(const std::string& path) const {
  const double* own = FindByName(alpha_pattern_, path);
  return own != nullptr ? *own : alpha_;
}

double LoraSpec::ScalingOf(const std::string& path) const {
  const double rank = RankOf(path);
  return AlphaOf(path) / (rslora_ ? std::sqrt(rank) : rank);
}

bool LoraSpec::Targets(const families::Linear& linear) const {
  return std::any_of(target_modules_.begin(), target_modules_.end(),
                     [&](const std::string& target) { return IsOrEndsWith(linear.path, target); });
}

bool LoraSpec::Replaces(const families::TensorShape& tensor, bool bias_of_adapted) const {
  if (biases_ == Biases::kAll && tensor.name.ends_with(".bias")) return true;
  if (biases_ == Biases::kAdapted && bias_of_adapted) return true;
  return std::any_of(modules_to_save_.begin(), modules_to_save_.end(),
                     [&](const std::string& module) { return LiesInModule(tensor.name, module); });
}

std::vector<TensorSpec> LoraSpec::Tensors(const families::Layout& layout,
                                          const tasks::TaskSpec& task) const {
  std::vector<TensorSpec> tensors;
  std::set<std::string> adapted_biases;
  for (const families::Linear& linear : Adaptable(layout)) {
    if (!Targets(linear)) continue;
    adapted_biases.insert(linear.path + ".bias");
    const auto add = [&](const char* suffix, std::vector<int64_t> shape) {
      tensors.push_back({.name = linear.path + suffix,
                         .shape = std::move(shape),
                         .file = kFile,
                         .key = kKeyPrefix + linear.path + suffix,
                         .layer = linear.layer});
    };
    const int64_t rank = RankOf(linear.path);
    add(".lora_A.weight", {rank, linear.in});
    add(".lora_B.weight", {linear.out, rank});
  }
  for (TensorSpec& head :
       HeadTensors(HeadFor(layout, task), task.outputs(), false, kFile, kKeyPrefix))
    tensors.push_back(std::move(head));
  for (const families::TensorShape& tensor : layout.tensors) {
    const bool of_adapted = adapted_biases.contains(tensor.name);
    if (!Replaces(tensor, of_adapted)) continue;
    // PEFT puts an adapted layer's own tensors one level down.
    const std::string key = of_adapted
                                ? tensor.name.substr(0, tensor.name.rfind('.')) + ".base_layer.bias"
                                : tensor.name;
    tensors.push_back({.name = tensor.name,
                       .shape = tensor.shape,
                       .file = kFile,
                       .key = kKeyPrefix + key,
                       .overrides_base = true,
                       .decay = tensor.role == families::TensorRole::kMatrix,
                       .layer = tensor.layer});
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return tensors;
}

bool LoraSpec::ChangesNothing(const families::Layout& layout, const IsZero& is_zero) const {
  if (biases_ != Biases::kNone || !modules_to_save_.empty()) return false;
  const std::vector<families::Linear> linears = Adaptable(layout);
  return std::all_of(linears.begin(), linears.end(), [&](const families::Linear& linear) {
    return !Targets(linear) || is_zero(linear.path + ".lora_A.weight") ||
           is_zero(linear.path + ".lora_B.weight");
  });
}

std::map<std::string, std::string> LoraSpec::ConfigFiles(const families::Layout& layout,
                                                         const ArtifactContext& context) const {
  const auto shortest = [](double alpha) {
    return alpha == std::floor(alpha) ? Json(static_cast<int64_t>(alpha)) : Json(alpha);
  };
  std::vector<std::string> own;
  for (const std::string& module : modules_to_save_) {
    // PEFT would give the embeddings a copy of their own and leave the head as it was. Unnamed, the
    // file's tensor goes into the one that both are.
    const bool tied = context.task.kind == tasks::Kind::kCausalLanguageModeling &&
                      families::TiesLanguageHead(layout) &&
                      IsOrEndsWith(layout.embeddings.words, module);
    if (!tied) own.push_back(module);
  }
  std::vector<std::string> saved = PeftSavedNames(own, layout);
  for (std::string& name : HeadModules(HeadFor(layout, context.task)))
    saved.push_back(std::move(name));
  std::sort(saved.begin(), saved.end());
  Json config = ConstantPeftFields();
  config["alpha_pattern"] = Json::object();
  for (const auto& [name, alpha] : alpha_pattern_) config["alpha_pattern"][name] = shortest(alpha);
  config["base_model_name_or_path"] = context.base;
  config["bias"] = BiasNames()[static_cast<size_t>(biases_)];
  config["lora_alpha"] = shortest(alpha_);
  config["lora_dropout"] = dropout_;
  config["modules_to_save"] = saved;
  config["r"] = rank_;
  config["rank_pattern"] = Json::object();
  for (const auto& [name, rank] : rank_pattern_) config["rank_pattern"][name] = rank;
  config["target_modules"] = target_modules_;
  config["task_type"] = tasks::NamesOf(context.task.kind).peft_task_type;
  config["use_rslora"] = rslora_;
  return {{"adapter_config.json", config.dump(2)}};
}

}  // namespace graft::methods
