#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "common/base/utf8.h"
#include "common/families/activations.h"
#include "common/methods/foreign_config.h"
#include "common/methods/hub_files.h"

namespace graft::methods {
namespace {

/// How graft heeds a field of a BnConfig.
enum class Heed {
  kOnly,  ///< Only the written value is computed; another is refused.
  kRead,  ///< Taken over, and written as the method has it.
  kAny,   ///< Changes nothing: initial values, options of what is refused, what the tensors tell.
};

struct HubField {
  const char* key;
  Json written;  ///< AdapterHub's default, so also what an absent field means.
  Heed heed;
  bool is_written = true;
};

/// The one table of BnConfig's fields.
const std::vector<HubField>& HubFields() {
  // "scaling" must stay a float in the text: AdapterHub refuses the integer 1.
  static const std::vector<HubField> fields = {
      {"adapter_residual_before_ln", false, Heed::kAny},  // Matters with ln_after only.
      {"architecture", nullptr, Heed::kOnly},
      {"cross_adapter", false, Heed::kOnly},
      {"dropout", 0.0, Heed::kRead},
      {"factorized_phm_W", true, Heed::kAny},
      {"factorized_phm_rule", false, Heed::kAny},
      {"hypercomplex_nonlinearity", "glorot-uniform", Heed::kAny},
      {"init_weights", "bert", Heed::kAny},
      {"init_weights_seed", nullptr, Heed::kAny, false},
      {"inv_adapter", nullptr, Heed::kOnly},
      {"inv_adapter_reduction_factor", nullptr, Heed::kAny},
      {"is_parallel", false, Heed::kRead},
      {"learn_phm", true, Heed::kAny},
      {"leave_out", Json::array(), Heed::kRead},
      {"ln_after", false, Heed::kOnly},
      {"ln_before", false, Heed::kOnly},
      {"mh_adapter", false, Heed::kRead},
      {"non_linearity", "relu", Heed::kRead},
      {"original_ln_after", true, Heed::kRead},
      {"original_ln_before", false, Heed::kRead},
      {"output_adapter", true, Heed::kRead},
      {"phm_bias", true, Heed::kAny},
      {"phm_c_init", "normal", Heed::kAny},
      {"phm_dim", 4, Heed::kAny},
      {"phm_init_range", 0.0001, Heed::kAny},
      {"phm_layer", false, Heed::kOnly},
      {"phm_rank", 1, Heed::kAny},
      {"reduction_factor", 16, Heed::kAny},
      {"residual_before_ln", true, Heed::kRead},
      {"scaling", 1.0, Heed::kRead},
      {"shared_W_phm", false, Heed::kAny},
      {"shared_phm_rule", true, Heed::kAny},
      {"stochastic_depth", 0.0, Heed::kOnly},
      {"use_gating", false, Heed::kOnly}};
  return fields;
}

/// AdapterHub's names that aren't graft's own.
constexpr std::pair<const char*, const char*> kRenamed[] = {{"swish", "silu"},
                                                            {"leakyrelu", "leaky_relu"},
                                                            {"gelu_python", "gelu"},
                                                            {"gelu_accurate", "gelu_new"},
                                                            {"gelu_pytorch_tanh", "gelu_new"},
                                                            {"gelu_python_tanh", "gelu_new"},
                                                            {"gelu_fast", "gelu_new"}};

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

Status NotBuilt(const std::string& name, const Json& value, const std::string& instead) {
  return BadConfig(name + " is " + Shown(value) + ", which isn't built; " + instead);
}

/// Reads one field after another and keeps the first fault.
class Reader {
 public:
  explicit Reader(const Json& config) : config_(config) {}

  /// The field's value, or what its absence means.
  const Json& Value(const char* name) const {
    if (config_.contains(name)) return config_[name];
    for (const HubField& field : HubFields()) {
      if (std::string_view(field.key) == name) return field.written;
    }
    return kNull;
  }
  bool Flag(const char* name) {
    const Json& value = Value(name);
    if (!value.is_boolean())
      Fail(BadConfig(std::string(name) + " is " + Shown(value) + "; it must be true or false"));
    return value == Json(true);
  }
  void Fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  const Status& status() const { return status_; }

 private:
  inline static const Json kNull;
  const Json& config_;
  Status status_;
};

/// Where the adapter sits and what it adds to.
void ReadPlace(Reader& read, Json& fields) {
  const bool attention = read.Flag("mh_adapter");
  const bool feed_forward = read.Flag("output_adapter");
  if (!attention && !feed_forward)
    read.Fail(BadConfig("neither mh_adapter nor output_adapter is true: it adapts nothing"));
  fields["sublayers"] = attention && feed_forward ? "both"
                        : attention               ? "attention"
                                                  : "feed-forward";
  if (!read.Flag("original_ln_after")) fields["norm_after"] = false;
  if (read.Flag("is_parallel")) {  // Heeds neither original_ln_before nor residual_before_ln.
    fields["placement"] = "HOULSBY";
    fields["parallel"] = true;
    return;
  }
  const bool normed = read.Flag("original_ln_before");
  fields["placement"] = normed ? "PFEIFFER" : "HOULSBY";
  const Json& skip = read.Value("residual_before_ln");
  if (skip == Json("post_add") && normed) {
    fields["adds_to"] = "sum";
  } else if (skip == Json(false)) {
    if (normed) fields["adds_to"] = "norm";
  } else if (skip != Json(true)) {
    read.Fail(NotBuilt("residual_before_ln", skip,
                       "true and false are, and \"post_add\" with original_ln_before"));
  }
}

void ReadScaling(Reader& read, Json& fields) {
  const Json& scaling = read.Value("scaling");
  if (scaling.is_number()) {
    fields["scaling"] = scaling;
  } else if (scaling == Json("learned") || scaling == Json("channel")) {
    fields["trained_scaling"] = scaling == Json("learned") ? "one" : "channel";
  } else {
    read.Fail(NotBuilt("scaling", scaling, "a number, \"learned\" and \"channel\" are"));
  }
}

/// The layers of this base that are left out; AdapterHub passes over numbers that are no layer.
void ReadLeaveOut(Reader& read, const families::Layout& layout, Json& fields) {
  const Json& list = read.Value("leave_out");
  if (IsOff(list)) return;
  Json layers = Json::array();
  for (const Json& layer : list) {
    if (!list.is_array() || !layer.is_number_integer()) {
      return read.Fail(BadConfig("leave_out is " + Shown(list) + "; it must be a list of layers"));
    }
    if (layer >= 0 && layer < layout.num_layers) layers.push_back(layer);
  }
  if (!layers.empty()) fields["leave_out"] = layers;
}

void ReadActivation(Reader& read, bool is_legacy, Json& fields) {
  const Json& value = read.Value("non_linearity");
  std::string theirs = value.is_string() ? value.get<std::string>() : std::string();
  // Before the adapters library "gelu" was the approximation, and "gelu_orig" the exact one.
  if (is_legacy && theirs == "gelu") {
    theirs = "gelu_new";
  } else if (is_legacy && theirs == "gelu_orig") {
    theirs = "gelu";
  }
  const std::string ours = ActivationOfHub(theirs);
  if (ours.empty()) {
    read.Fail(NotBuilt("non_linearity", value, families::ActivationList() + " are"));
  }
  fields["activation"] = ours;
}

}  // namespace

Json HubActivation(const std::string& ours) {
  if (ours.empty()) return nullptr;
  return ours == "silu" ? "swish" : ours;
}

std::string ActivationOfHub(const std::string& theirs) {
  const std::string name = AsciiLower(theirs);
  for (const auto& [hub, ours] : kRenamed) {
    if (name == hub) return ours;
  }
  return families::IsActivation(name) ? name : std::string();
}

Json HubBnConfig(const BottleneckSpec& spec, const families::Layout& layout) {
  Json config = Json::object();
  for (const HubField& field : HubFields()) {
    if (field.is_written) config[field.key] = field.written;
  }
  const bool normed = spec.placement() == BottleneckPlacement::kPfeiffer;
  config["dropout"] = spec.dropout();
  config["is_parallel"] = spec.parallel();
  config["leave_out"] = Json(spec.leave_out());
  config["mh_adapter"] = spec.wraps(families::SublayerKind::kAttention);
  config["output_adapter"] = spec.wraps(families::SublayerKind::kFeedForward);
  config["non_linearity"] = HubActivation(spec.activation());
  config["original_ln_after"] = spec.norm_after();
  config["original_ln_before"] = normed;
  if (spec.skip() == BottleneckSkip::kNorm) config["residual_before_ln"] = false;
  if (spec.skip() == BottleneckSkip::kSum) config["residual_before_ln"] = "post_add";
  config["scaling"] = spec.scaling();
  if (spec.trained_scaling() == TrainedScaling::kOne) config["scaling"] = "learned";
  if (spec.trained_scaling() == TrainedScaling::kChannel) config["scaling"] = "channel";
  config["reduction_factor"] = ReductionFactor(layout.hidden, spec.size());
  Json by_layer = {{"default", config["reduction_factor"]}};
  for (int layer = 0; layer < layout.num_layers; ++layer) {
    if (spec.size(layer) != spec.size())
      by_layer[std::to_string(layer)] = ReductionFactor(layout.hidden, spec.size(layer));
  }
  if (by_layer.size() > 1) config["reduction_factor"] = by_layer;
  return config;
}

StatusOr<Json> ReadHubBnConfig(const Json& file, const families::Layout& layout) {
  const Json& config = file["config"];
  if (!config.is_object()) return BadConfig("config is " + Shown(config) + ", not an object");
  if (!config.value("architecture", Json()).is_null()) {
    return BadConfig("the architecture " + Shown(config["architecture"]) +
                     " isn't built; bottleneck adapters are, and LoRA in PEFT's form");
  }
  std::vector<std::string_view> known;
  for (const HubField& field : HubFields()) {
    known.emplace_back(field.key);
    if (field.heed != Heed::kOnly || !config.contains(field.key)) continue;
    const Json& value = config[field.key];
    if (value == field.written || (IsOff(value) && IsOff(field.written))) continue;
    return NotBuilt(field.key, value, "only " + field.written.dump() + " is");
  }
  GRAFT_RETURN_IF_ERROR(RefuseUnknown(config, "adapter_config.json", known));
  Reader read(config);
  Json fields = Json::object();
  ReadPlace(read, fields);
  ReadScaling(read, fields);
  ReadLeaveOut(read, layout, fields);
  ReadActivation(read, !file.contains("version"), fields);
  fields["dropout"] = read.Value("dropout");
  GRAFT_RETURN_IF_ERROR(read.status());
  return fields;
}

}  // namespace graft::methods
