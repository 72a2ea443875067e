#include "common/methods/bottleneck.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/methods/fields.h"
#include "common/methods/foreign_config.h"
#include "common/methods/overlay.h"

namespace graft::methods {
namespace {

constexpr const char* kFile = "adapter.safetensors";
constexpr const char* kHeadFile = "model_head.safetensors";
constexpr const char* kOverlayFile = "base_overrides.safetensors";
/// The adapter's name inside the files. Fixed, so that keys don't depend on what the adapter is
/// called in graft.
constexpr const char* kName = "graft";

const std::vector<std::string> kActivations = {"relu", "gelu", "silu", "tanh"};

/// AdapterHub's name of an activation.
std::string HubName(const std::string& activation) {
  return activation == "silu" ? "swish" : activation;
}

/// Positions of the head's linears in AdapterHub's nn.Sequential: dropout, linear, activation,
/// dropout, linear, ...
std::vector<std::string> FlexHeadIndices(const families::Layout& layout) {
  // BERT's pooler is the base's (use_pooler), so only what is new counts.
  const auto num_new = static_cast<size_t>(std::count_if(
      layout.head.begin(), layout.head.end(), [](const auto& linear) { return !linear.in_base; }));
  std::vector<std::string> indices;
  for (size_t i = 0; i < num_new; ++i) indices.push_back(std::to_string(3 * i + 1));
  return indices;
}

/// Renames head tensors to "heads.<name>.<index>.weight".
std::vector<TensorSpec> HubHeadTensors(const families::Layout& layout, int64_t num_labels,
                                       bool with_base_head, bool trained) {
  std::vector<TensorSpec> tensors = HeadTensors(layout, num_labels, with_base_head, kHeadFile, "");
  const std::vector<std::string> indices = FlexHeadIndices(layout);
  size_t next = 0;
  for (const families::HeadLinear& linear : layout.head) {
    for (TensorSpec& tensor : tensors) {
      if (!tensor.name.starts_with(linear.path + ".")) continue;
      if (linear.in_base) {
        tensor.file = kOverlayFile;
        continue;
      }
      tensor.key = std::string("heads.") + kName + "." + indices[next] +
                   tensor.name.substr(linear.path.size());
      tensor.trained = trained;
    }
    if (!linear.in_base) ++next;
  }
  return tensors;
}

/// A reduction factor f such that AdapterHub's int(hidden // f) is `size`. Python's // goes by the
/// true quotient: a factor that was rounded up gives one less, though hidden / f rounds to `size`.
double ReductionFactor(int64_t hidden, int size) {
  const auto width = static_cast<double>(hidden);
  double factor = width / size;
  while (std::round((width - std::fmod(width, factor)) / factor) < size) {
    factor = std::nextafter(factor, 0.0);
  }
  return factor;
}

}  // namespace

StatusOr<std::shared_ptr<const MethodSpec>> BottleneckSpec::Parse(const Json& json) {
  Fields fields(json, "method.bottleneck");
  auto spec = std::make_shared<BottleneckSpec>();
  spec->placement_ = fields.Choice("placement", {"HOULSBY", "PFEIFFER"}, 0) == 0
                         ? BottleneckPlacement::kHoulsby
                         : BottleneckPlacement::kPfeiffer;
  spec->size_ = static_cast<int>(fields.Integer("size", 1, 1 << 16, 64));
  const bool houlsby = spec->placement_ == BottleneckPlacement::kHoulsby;
  spec->activation_ = fields.Text("activation", 32, houlsby ? "silu" : "relu");
  if (spec->activation_ == "swish") spec->activation_ = "silu";
  if (std::find(kActivations.begin(), kActivations.end(), spec->activation_) ==
      kActivations.end()) {
    fields.Fail("activation", "is \"" + spec->activation_ + "\"; use relu, gelu, silu or tanh");
  }
  // With two projections of zeros no gradient reaches anything but the upper one's bias.
  spec->init_std_ = fields.Number("init_std", 0, 1, 0.01, Fields::Bounds::kOpenLow);
  spec->dropout_ = fields.Number("dropout", 0, 1, 0, Fields::Bounds::kOpenHigh);
  spec->unfreeze_base_ = fields.Flag("unfreeze_base", false);
  spec->residual_ = fields.Flag("residual", true);
  spec->freeze_head_ = fields.Flag("freeze_head", false);
  if (!spec->residual_ && !houlsby)
    fields.Fail("residual", "can only be false with placement HOULSBY");
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

Json BottleneckSpec::ToJson() const {
  return {{"placement", placement_ == BottleneckPlacement::kHoulsby ? "HOULSBY" : "PFEIFFER"},
          {"size", size_},
          {"activation", activation_},
          {"init_std", init_std_},
          {"dropout", dropout_},
          {"unfreeze_base", unfreeze_base_},
          {"residual", residual_},
          {"freeze_head", freeze_head_}};
}

Json BottleneckSpec::FunctionJson() const {
  Json fields = ToJson();
  for (const char* training_only : {"init_std", "dropout", "freeze_head"})
    fields.erase(training_only);
  return fields;
}

StatusOr<std::shared_ptr<const MethodSpec>> BottleneckSpec::Resolve(
    const families::Layout& layout) const {
  if (size_ > layout.hidden) {
    return InvalidArgumentError("method.bottleneck.size is " + std::to_string(size_) +
                                "; this base is only " + std::to_string(layout.hidden) + " wide")
        .At("method.bottleneck.size");
  }
  return std::shared_ptr<const MethodSpec>(std::make_shared<BottleneckSpec>(*this));
}

bool BottleneckSpec::Wraps(const families::Sublayer& sublayer) const {
  return placement_ == BottleneckPlacement::kHoulsby ||
         sublayer.kind == families::SublayerKind::kFeedForward;
}

std::string BottleneckSpec::Prefix(const families::Sublayer& sublayer) {
  return sublayer.hub_path + ".";
}

std::string_view BottleneckSpec::artifact_format() const {
  return unfreeze_base_ || !residual_ ? "graft" : "adapterhub";
}

std::vector<TensorSpec> BottleneckSpec::Tensors(const families::Layout& layout,
                                                int64_t num_labels) const {
  std::vector<TensorSpec> tensors;
  for (const families::Sublayer& sublayer : layout.sublayers) {
    if (!Wraps(sublayer)) continue;
    const auto add = [&](const std::string& ours, const std::string& theirs,
                         std::vector<int64_t> shape) {
      tensors.push_back({.name = Prefix(sublayer) + ours,
                         .shape = std::move(shape),
                         .file = kFile,
                         .key = sublayer.hub_path + "." + kName + "." + theirs,
                         .decay = !IsDecayExcluded(ours),
                         .layer = sublayer.layer});
    };
    add("adapter_down.weight", "adapter_down.0.weight", {size_, layout.hidden});
    add("adapter_down.bias", "adapter_down.0.bias", {size_});
    add("adapter_up.weight", "adapter_up.weight", {layout.hidden, size_});
    add("adapter_up.bias", "adapter_up.bias", {layout.hidden});
  }
  for (TensorSpec& head : HubHeadTensors(layout, num_labels, unfreeze_base_, !freeze_head_)) {
    tensors.push_back(std::move(head));
  }
  if (unfreeze_base_) {
    for (TensorSpec& tensor : OverlayTensors(layout, -1, kOverlayFile))
      tensors.push_back(std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return tensors;
}

std::map<std::string, std::string> BottleneckSpec::ConfigFiles(
    const families::Layout& layout, const ArtifactContext& context) const {
  const bool houlsby = placement_ == BottleneckPlacement::kHoulsby;
  // "scaling" must stay a float in the text: AdapterHub refuses the integer 1.
  const Json config = {{"adapter_residual_before_ln", false},
                       {"architecture", nullptr},
                       {"cross_adapter", false},
                       {"dropout", dropout_},
                       {"factorized_phm_W", true},
                       {"factorized_phm_rule", false},
                       {"hypercomplex_nonlinearity", "glorot-uniform"},
                       {"init_weights", "bert"},
                       {"inv_adapter", nullptr},
                       {"inv_adapter_reduction_factor", nullptr},
                       {"is_parallel", false},
                       {"learn_phm", true},
                       {"leave_out", Json::array()},
                       {"ln_after", false},
                       {"ln_before", false},
                       {"mh_adapter", houlsby},
                       {"non_linearity", HubName(activation_)},
                       {"original_ln_after", true},
                       {"original_ln_before", !houlsby},
                       {"output_adapter", true},
                       {"phm_bias", true},
                       {"phm_c_init", "normal"},
                       {"phm_dim", 4},
                       {"phm_init_range", 0.0001},
                       {"phm_layer", false},
                       {"phm_rank", 1},
                       {"reduction_factor", ReductionFactor(layout.hidden, size_)},
                       {"residual_before_ln", true},
                       {"scaling", 1.0},
                       {"shared_W_phm", false},
                       {"shared_phm_rule", true},
                       {"stochastic_depth", 0.0},
                       {"use_gating", false}};
  const Json common = {{"hidden_size", layout.hidden},
                       {"model_class", layout.hub_model_class},
                       {"model_name", context.base},
                       {"model_type", layout.family},
                       {"name", kName},
                       {"version", "adapters.1.2.0"}};
  Json adapter = common;
  adapter["config"] = config;
  Json label2id = Json::object();
  for (size_t i = 0; i < context.label_names.size(); ++i) label2id[context.label_names[i]] = i;
  const size_t layers = FlexHeadIndices(layout).size();
  Json head = common;
  head["config"] = {{"head_type", "classification"},
                    {"num_labels", context.label_names.size()},
                    {"layers", layers},
                    {"activation_function", layers > 1 ? layout.head.front().activation : "tanh"},
                    {"label2id", label2id},
                    {"use_pooler", layout.family == "bert" && layers == 1},
                    {"bias", true},
                    {"dropout_prob", nullptr}};
  return {{"adapter_config.json", adapter.dump(2)}, {"head_config.json", head.dump(2)}};
}

StatusOr<ImportedMethod> BottleneckSpec::Import(
    const std::map<std::string, std::string>& configs,
    const std::map<std::string, std::vector<int64_t>>& tensor_shapes,
    const families::Layout& layout) {
  const auto bad = [](const std::string& what) {
    return InvalidArgumentError("adapter_config.json: " + what);
  };
  GRAFT_ASSIGN_OR_RETURN(const Json file,
                         ParseJson(configs.at("adapter_config.json"), "adapter_config.json"));
  const Json& config = file["config"];
  if (!config.is_object()) return bad("config isn't an object");
  if (config.contains("architecture") && !config["architecture"].is_null()) {
    return bad("the architecture " + Shown(config["architecture"]) +
               " isn't built; bottleneck adapters are, and LoRA in PEFT's form");
  }
  if (!file.contains("version")) {
    return bad(
        "it has no version, so it is from before the adapters library, when \"gelu\" meant "
        "something else; save it again");
  }
  // Fields that must have this value, or the adapter means something that graft doesn't compute.
  const std::vector<std::pair<const char*, Json>> required = {{"adapter_residual_before_ln", false},
                                                              {"is_parallel", false},
                                                              {"ln_after", false},
                                                              {"ln_before", false},
                                                              {"original_ln_after", true},
                                                              {"phm_layer", false},
                                                              {"residual_before_ln", true},
                                                              {"use_gating", false},
                                                              {"output_adapter", true},
                                                              {"leave_out", Json::array()},
                                                              {"stochastic_depth", 0.0},
                                                              {"scaling", 1.0},
                                                              {"cross_adapter", false}};
  for (const auto& [name, value] : required) {
    if (config.contains(name) && config[name] != value) {
      return bad(std::string(name) + " is " + Shown(config[name]) + ", which isn't built");
    }
  }
  if (config.contains("inv_adapter") && !config["inv_adapter"].is_null())
    return bad("inv_adapter isn't built");
  // Those above, those read below, and those that change nothing: initial values, and options of
  // what is refused above.
  std::vector<std::string_view> known = {"dropout",
                                         "factorized_phm_W",
                                         "factorized_phm_rule",
                                         "hypercomplex_nonlinearity",
                                         "init_weights",
                                         "init_weights_seed",
                                         "inv_adapter_reduction_factor",
                                         "learn_phm",
                                         "mh_adapter",
                                         "non_linearity",
                                         "original_ln_before",
                                         "phm_bias",
                                         "phm_c_init",
                                         "phm_dim",
                                         "phm_init_range",
                                         "phm_rank",
                                         "reduction_factor",
                                         "shared_W_phm",
                                         "shared_phm_rule"};
  for (const auto& [name, value] : required) known.emplace_back(name);
  GRAFT_RETURN_IF_ERROR(RefuseUnknown(config, "adapter_config.json", known));
  const bool both = config.value("mh_adapter", Json()) == Json(true);
  if (config.value("original_ln_before", Json(false)) != Json(!both)) {
    return bad(
        "only Houlsby (mh_adapter, no original_ln_before) and Pfeiffer (original_ln_before, no "
        "mh_adapter) are built");
  }
  Json fields = {{"placement", both ? "HOULSBY" : "PFEIFFER"}};
  if (config.contains("non_linearity")) fields["activation"] = config["non_linearity"];
  if (config.contains("dropout")) fields["dropout"] = config["dropout"];
  std::map<std::string, std::string> renamed;
  // Sizes and the adapter's name come from the tensors: "….adapters.<name>.adapter_down.0.weight".
  for (const auto& [key, shape] : tensor_shapes) {
    for (const families::Sublayer& sublayer : layout.sublayers) {
      for (const std::string& hub_path :
           {sublayer.hub_path, sublayer.hub_path.substr(layout.prefix.size())}) {
        if (!key.starts_with(hub_path + ".")) continue;
        const std::string rest = key.substr(hub_path.size() + 1);
        for (const auto& [theirs, ours] :
             {std::pair<std::string, std::string>{".adapter_down.0.", "adapter_down."},
              {".adapter_up.", "adapter_up."}}) {
          const size_t at = rest.find(theirs);
          if (at == std::string::npos) continue;
          renamed[key] = Prefix(sublayer) + ours + rest.substr(at + theirs.size());
          if (ours == "adapter_down." && key.ends_with("weight") && shape.size() == 2)
            fields["size"] = shape[0];
        }
      }
    }
  }
  if (!fields.contains("size")) {
    return bad("the folder's tensors hold no adapter_down of this base (" + layout.hub_model_class +
               ")");
  }
  ImportedMethod imported;
  const auto head_file = configs.find("head_config.json");
  if (head_file == configs.end())
    return bad("the folder has no head_config.json; save the adapter with its prediction head");
  GRAFT_ASSIGN_OR_RETURN(const Json head, ParseJson(head_file->second, "head_config.json"));
  const Json head_config = head.is_object() ? head.value("config", Json()) : Json();
  const auto bad_head = [](const std::string& what) {
    return InvalidArgumentError("head_config.json: " + what);
  };
  if (!head_config.is_object() || head_config.value("head_type", Json()) != "classification") {
    return bad_head("the head isn't of type classification");
  }
  const std::vector<std::string> indices = FlexHeadIndices(layout);
  const bool pooled = layout.head.front().in_base;
  if (head_config.value("layers", Json()) != Json(indices.size()) ||
      head_config.value("use_pooler", Json(false)) != Json(pooled) ||
      head_config.value("bias", Json(true)) != Json(true) ||
      (indices.size() > 1 &&
       head_config.value("activation_function", Json()) != Json(layout.head.front().activation))) {
    return bad_head("the head has another form than this family's sequence classification (" +
                    std::to_string(indices.size()) +
                    (pooled ? " layer behind the pooler)" : " layers on the first token)"));
  }
  size_t next = 0;
  for (const families::HeadLinear& linear : layout.head) {
    if (linear.in_base) continue;
    for (const auto& [key, shape] : tensor_shapes) {
      for (const char* suffix : {".weight", ".bias"}) {
        if (key.starts_with("heads.") && key.ends_with("." + indices[next] + suffix))
          renamed[key] = linear.path + suffix;
      }
    }
    ++next;
  }
  if (const Json labels = head_config.value("label2id", Json()); labels.is_object()) {
    imported.label_names.resize(labels.size());
    std::set<size_t> ids;
    for (const auto& [label, id] : labels.items()) {
      if (!id.is_number_unsigned() || id.get<size_t>() >= labels.size() ||
          !ids.insert(id.get<size_t>()).second) {
        return bad_head("label2id isn't a numbering from 0");
      }
      imported.label_names[id.get<size_t>()] = label;
    }
  }
  GRAFT_ASSIGN_OR_RETURN(const auto parsed, Parse(fields));
  GRAFT_ASSIGN_OR_RETURN(imported.method, parsed->Resolve(layout));
  imported.renamed_keys = std::move(renamed);
  return imported;
}

}  // namespace graft::methods
