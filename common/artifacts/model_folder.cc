#include "common/artifacts/model_folder.h"

#include <string>

namespace graft::artifacts {
namespace {

constexpr std::string_view kConfig = "tokenizer_config.json";

}  // namespace

StatusOr<Files> ExportedTokenizer(const tokenizers::TokenizerFiles& of_base, int max_length) {
  Files files = TokenizerFilesAmong(of_base);
  std::string& text = files[std::string(kConfig)];
  Json config = Json::object();
  if (!text.empty()) {
    GRAFT_ASSIGN_OR_RETURN(config, ParseJson(text, kConfig));
    if (!config.is_object()) return InvalidArgumentError("tokenizer_config.json isn't an object");
  }
  // The model's own config.json, which the export replaces, may say it instead.
  if (const auto model = of_base.find("config.json");
      model != of_base.end() && config.value("tokenizer_class", Json()).is_null()) {
    GRAFT_ASSIGN_OR_RETURN(const Json base, ParseJson(model->second, "config.json"));
    if (base.is_object() && !base.value("tokenizer_class", Json()).is_null())
      config["tokenizer_class"] = base["tokenizer_class"];
  }
  config["model_max_length"] = max_length;
  text = config.dump(2) + "\n";
  return files;
}

}  // namespace graft::artifacts
