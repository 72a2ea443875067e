#include "worker/engine/model/embedding_recipe.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/tokenizers/model_max_length.h"

namespace graft::worker::engine {
namespace fs = std::filesystem;
namespace {

StatusOr<Json> ReadJsonFile(const fs::path& folder, const std::string& name) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder / name, 1 << 20));
  return ParseJson(text, name);
}

/// An object; an empty one if there is no such file.
StatusOr<Json> ReadObjectIfThere(const fs::path& folder, const std::string& name) {
  std::error_code error;
  if (!fs::exists(folder / name, error)) return Json(Json::object());
  GRAFT_ASSIGN_OR_RETURN(Json json, ReadJsonFile(folder, name));
  if (!json.is_object()) return InvalidArgumentError(name + " isn't an object");
  return json;
}

struct Module {
  std::string kind;  ///< "Pooling"; what isn't sentence-transformers' own keeps its whole type.
  std::string path;  ///< Its folder below the base's.
};

StatusOr<std::vector<Module>> ParseModules(const Json& json) {
  const Status malformed = InvalidArgumentError("modules.json isn't a list of modules");
  if (!json.is_array()) return malformed;
  std::vector<Module> modules;
  for (const Json& module : json) {
    if (!module.is_object()) return malformed;
    const Json type = module.value("type", Json());
    const Json path = module.value("path", Json(""));
    if (!type.is_string() || !path.is_string()) return malformed;
    auto kind = type.get<std::string>();
    // Its module's place in the library has moved between versions; the class's name stays.
    if (kind.starts_with("sentence_transformers.")) kind = kind.substr(kind.rfind('.') + 1);
    modules.push_back({std::move(kind), path.get<std::string>()});
  }
  return modules;
}

/// The pooling's modes that are on: "mean", "cls", "max", ...
std::vector<std::string> PoolingModes(const Json& config) {
  constexpr std::string_view kPrefix = "pooling_mode_";
  std::vector<std::string> modes;
  if (const Json given = config.value("pooling_mode", Json()); !given.is_null()) {
    // One mode or a list of them.
    for (const Json& mode : given.is_array() ? given : Json::array({given}))
      modes.push_back(mode.is_string() ? mode.get<std::string>() : mode.dump());
    return modes;
  }
  // The library's default, which a file that only adds another mode leaves on.
  if (!config.contains("pooling_mode_mean_tokens")) modes.emplace_back("mean");
  for (const auto& [name, on] : config.items()) {
    if (!name.starts_with(kPrefix) || on == Json(false)) continue;
    const bool suffixed = name.ends_with("_tokens") || name.ends_with("_token");
    modes.push_back(name.substr(kPrefix.size(),
                                suffixed ? name.rfind('_') - kPrefix.size() : std::string::npos));
  }
  return modes;
}

StatusOr<Pooling> ReadPooling(const fs::path& folder, const std::string& name) {
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadJsonFile(folder, name));
  if (!config.is_object()) return InvalidArgumentError(name + " isn't an object");
  const std::vector<std::string> modes = PoolingModes(config);
  if (modes == std::vector<std::string>{"mean"}) return Pooling::kMean;
  if (modes == std::vector<std::string>{"cls"}) return Pooling::kFirst;
  std::string all;
  for (const std::string& mode : modes) all += (all.empty() ? "" : " and ") + Printable(mode, 40);
  return UnimplementedError("this base can't embed texts: " + name + " asks for the pooling " +
                            (all.empty() ? "none" : all) + "; either mean or cls is built");
}

Status CheckModules(const std::vector<Module>& modules) {
  std::string kinds;
  for (const Module& module : modules)
    kinds += (kinds.empty() ? "" : ", ") + Printable(module.kind, 80);
  if (kinds == "Transformer, Pooling" || kinds == "Transformer, Pooling, Normalize")
    return OkStatus();
  return UnimplementedError(
      "this base can't embed texts: modules.json lists " + (kinds.empty() ? "nothing" : kinds) +
      "; Transformer, Pooling and perhaps Normalize, in this order, are built");
}

/// True for arguments of loading that change no result.
bool AreHarmless(const Json& arguments) {
  constexpr std::string_view kHarmless[] = {
      "attn_implementation", "device_map",        "dtype",
      "local_files_only",    "low_cpu_mem_usage", "torch_dtype",
      "trust_remote_code",   "use_safetensors"};
  if (!arguments.is_object()) return false;
  const auto items = arguments.items();
  return std::all_of(items.begin(), items.end(), [&](const auto& item) {
    return std::find(std::begin(kHarmless), std::end(kHarmless), item.key()) != std::end(kHarmless);
  });
}

/// What the module's other fields say must be what graft does. Source: sentence-transformers'
/// base/modules/transformer.py.
Status CheckTransformer(const Json& config, const std::string& name) {
  constexpr std::string_view kHeeded[] = {"do_lower_case", "max_seq_length"};
  constexpr std::string_view kWithoutEffect[] = {"unpad_inputs"};
  constexpr std::string_view kArguments[] = {
      "config_args",      "config_kwargs",  "model_args",       "model_kwargs",
      "processor_kwargs", "tokenizer_args", "processing_kwargs"};
  static const std::map<std::string, Json> built = {
      {"document_length", nullptr},
      {"modality_config",
       {{"text", {{"method", "forward"}, {"method_output_name", "last_hidden_state"}}}}},
      {"module_output_name", "token_embeddings"},
      {"query_expansion", false},
      {"query_length", nullptr},
      {"transformer_task", "feature-extraction"}};
  const auto is_among = [](const auto& names, const std::string& field) {
    return std::find(std::begin(names), std::end(names), field) != std::end(names);
  };
  for (const auto& [field, value] : config.items()) {
    if (value.is_null() || is_among(kHeeded, field) || is_among(kWithoutEffect, field)) continue;
    const bool is_arguments = is_among(kArguments, field);
    if (is_arguments && AreHarmless(value)) continue;
    const auto known = built.find(field);
    if (known != built.end() && value == known->second) continue;
    return UnimplementedError("this base can't embed texts: " + name + ": " + Printable(field, 80) +
                              " is " + Printable(value.dump(), 80) +
                              (is_arguments || known != built.end()
                                   ? ", which isn't built"
                                   : ", which graft doesn't know"));
  }
  return OkStatus();
}

/// What the module that holds the model says; the name of its file depends on the family.
Status ReadTransformer(const fs::path& folder, EmbeddingRecipe& recipe) {
  for (const std::string name : {"sentence_bert_config.json", "sentence_distilbert_config.json"}) {
    std::error_code error;
    if (!fs::exists(folder / name, error)) continue;
    GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObjectIfThere(folder, name));
    GRAFT_RETURN_IF_ERROR(CheckTransformer(config, name));
    const Json length = config.value("max_seq_length", Json());
    if (!length.is_null() && (!length.is_number_integer() || length < 1 || length > 1 << 20))
      return InvalidArgumentError(name + ": max_seq_length must be a number of tokens");
    if (!length.is_null()) recipe.max_length = length.get<int>();
    recipe.lower_case = config.value("do_lower_case", Json()) == Json(true);
    return OkStatus();
  }
  return OkStatus();
}

Status CheckPrompt(const fs::path& folder) {
  const std::string name = "config_sentence_transformers.json";
  GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObjectIfThere(folder, name));
  const Json chosen = config.value("default_prompt_name", Json());
  const Json prompts = config.value("prompts", Json::object());
  if (!chosen.is_string() || !prompts.is_object()) return OkStatus();
  if (prompts.value(chosen.get<std::string>(), Json("")) == Json("")) return OkStatus();
  return UnimplementedError("this base can't embed texts: " + name +
                            ": default_prompt_name puts the prompt " +
                            Quoted(chosen.get<std::string>()) +
                            " before each text, which isn't built; set it to null and put it there "
                            "yourself");
}

}  // namespace

StatusOr<EmbeddingRecipe> ReadEmbeddingRecipe(const fs::path& folder) {
  EmbeddingRecipe recipe;
  std::string pooling = "1_Pooling";
  std::error_code error;
  if (fs::exists(folder / "modules.json", error)) {
    GRAFT_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(folder, "modules.json"));
    GRAFT_ASSIGN_OR_RETURN(const std::vector<Module> modules, ParseModules(json));
    GRAFT_RETURN_IF_ERROR(CheckModules(modules));
    pooling = modules[1].path;
    recipe.normalize = modules.size() == 3;
  } else if (!fs::exists(folder / pooling / "config.json", error)) {
    return recipe;
  }
  GRAFT_ASSIGN_OR_RETURN(recipe.pooling, ReadPooling(folder, pooling + "/config.json"));
  GRAFT_RETURN_IF_ERROR(ReadTransformer(folder, recipe));
  if (recipe.max_length == 0) {
    GRAFT_ASSIGN_OR_RETURN(const Json config, ReadObjectIfThere(folder, "tokenizer_config.json"));
    recipe.max_length = tokenizers::ModelMaxLength(config);
  }
  GRAFT_RETURN_IF_ERROR(CheckPrompt(folder));
  return recipe;
}

}  // namespace graft::worker::engine
