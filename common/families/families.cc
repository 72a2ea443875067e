#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "common/base/utf8.h"
#include "common/families/bert.h"
#include "common/families/decoder_config.h"
#include "common/families/distilbert.h"
#include "common/families/layout.h"
#include "common/families/llama.h"
#include "common/families/mistral.h"
#include "common/families/qwen2.h"
#include "common/families/qwen3.h"

namespace graft::families {
namespace {

struct Family {
  const char* name;
  StatusOr<Layout> (*read)(const Json& config, const std::vector<std::string>& checkpoint_tensors);
  Json (*write)(const Layout& layout);  ///< See ModelConfig.
};

/// What is read of an encoder's config.json stands in it in the same words.
Json FingerprintConfig(const Layout& layout) { return layout.fingerprint_config; }

// The one list of families.
constexpr Family kFamilies[] = {{"bert", &ReadBertLayout, &FingerprintConfig},
                                {"distilbert", &ReadDistilBertLayout, &FingerprintConfig},
                                {"llama", &ReadLlamaLayout, &WriteDecoderConfig},
                                {"mistral", &ReadMistralLayout, &WriteMistralConfig},
                                {"qwen2", &ReadQwen2Layout, &WriteQwenConfig},
                                {"qwen3", &ReadQwen3Layout, &WriteQwenConfig}};

/// What changes the weights themselves, in every family.
Status CheckWhole(const Json& config) {
  if (const Json quantised = config.value("quantization_config", Json()); !quantised.is_null()) {
    const Json method = quantised.is_object() ? quantised.value("quant_method", Json()) : Json();
    return UnimplementedError(
        "config.json: quantization_config" +
        (method.is_null() ? std::string() : " (" + Printable(method.dump(), 80) + ")") +
        " isn't built; take the model before it was quantised");
  }
  if (!config.value("auto_map", Json()).is_null()) {
    return UnimplementedError(
        "config.json: auto_map names code of the model's own, which isn't run; take a model of a "
        "family that is built");
  }
  if (const Json pruned = config.value("pruned_heads", Json());
      !pruned.is_null() && !pruned.empty())
    return UnimplementedError("config.json: pruned_heads isn't built; " +
                              Printable(pruned.dump(), 80));
  return OkStatus();
}

}  // namespace

std::vector<std::string> FamilyNames() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.name);
  return names;
}

StatusOr<Layout> ReadLayout(std::string_view config_json,
                            const std::vector<std::string>& checkpoint_tensors) {
  GRAFT_ASSIGN_OR_RETURN(const Json config,
                         ParseJson(config_json, "config.json", {.max_bytes = 1 << 20}));
  if (!config.is_object() || !config.contains("model_type") || !config["model_type"].is_string()) {
    return InvalidArgumentError(
        "config.json has no model_type; is this a HuggingFace model folder?");
  }
  GRAFT_RETURN_IF_ERROR(CheckWhole(config));
  const auto type = config["model_type"].get<std::string>();
  std::string known;
  for (const Family& family : kFamilies) {
    if (type == family.name) return family.read(config, checkpoint_tensors);
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  return UnimplementedError("models of type " + Printable(type) + " aren't built; there are " +
                            known);
}

Json ModelConfig(const Layout& layout) {
  for (const Family& family : kFamilies) {
    if (layout.family == family.name) return family.write(layout);
  }
  return layout.fingerprint_config;
}

int64_t Layout::ParameterCount() const {
  int64_t count = 0;
  for (const TensorShape& tensor : tensors) {
    count +=
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
  }
  return count;
}

size_t Layout::LinearAt(int64_t layer, LinearRole role) const {
  const auto found = std::find_if(linears.begin(), linears.end(), [&](const Linear& linear) {
    return linear.layer == layer && linear.role == role;
  });
  return static_cast<size_t>(found - linears.begin());
}

bool Layout::gated() const {
  return std::any_of(linears.begin(), linears.end(),
                     [](const Linear& linear) { return linear.role == LinearRole::kGate; });
}

size_t Layout::SublayerAt(int64_t layer, SublayerKind kind) const {
  const auto found = std::find_if(sublayers.begin(), sublayers.end(), [&](const Sublayer& one) {
    return one.layer == layer && one.kind == kind;
  });
  return static_cast<size_t>(found - sublayers.begin());
}

std::string RelativeName(const Linear& linear) {
  const std::string index = "." + std::to_string(linear.layer) + ".";
  const size_t at = linear.path.find(index);
  return at == std::string::npos ? linear.path : linear.path.substr(at + index.size());
}

std::vector<std::string> Layout::LinearNames() const {
  std::set<std::string> names;
  for (const Linear& linear : linears) names.insert(RelativeName(linear));
  return {names.begin(), names.end()};
}

}  // namespace graft::families
