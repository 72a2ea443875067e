#include "common/artifacts/model_folder.h"

#include <string>

namespace graft::artifacts {
namespace {

constexpr std::string_view kConfig = "tokenizer_config.json";

/// Brings what transformers 5 writes into the form that version 4 can read too.
void WriteForBothVersions(Json& config) {
  if (config.value("tokenizer_class", Json()) == Json("TokenizersBackend"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (const Json extra = config.value("extra_special_tokens", Json());
      extra.is_array() && config.value("additional_special_tokens", Json()).is_null()) {
    config.erase("extra_special_tokens");
    if (!extra.empty()) config["additional_special_tokens"] = extra;
  }
}

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
  WriteForBothVersions(config);
  config["model_max_length"] = max_length;
  text = config.dump(2) + "\n";
  return files;
}

}  // namespace graft::artifacts
