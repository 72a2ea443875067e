#include "worker/engine/embedding_recipe.h"

#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::worker::engine {
namespace fs = std::filesystem;
namespace {

StatusOr<Json> ReadJsonFile(const fs::path& folder, const std::string& name) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder / name, 1 << 20));
  return ParseJson(text, name);
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
  if (const Json mode = config.value("pooling_mode", Json()); mode.is_string()) {
    modes.push_back(mode.get<std::string>());
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
  return recipe;
}

}  // namespace graft::worker::engine
