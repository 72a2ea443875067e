#include "common/artifacts/model_folder.h"

#include <string>

#include "common/base/file.h"

namespace graft::artifacts {
namespace {

constexpr std::string_view kConfig = "tokenizer_config.json";
constexpr size_t kMaxBytes = size_t{256} << 20;

}  // namespace

StatusOr<Files> TokenizerFiles(const std::filesystem::path& folder, int max_length) {
  Files files;
  for (const std::string_view name : kTokenizerFiles) {
    StatusOr<std::string> bytes = ReadFile(folder / name, kMaxBytes);
    if (bytes.ok()) {
      files[std::string(name)] = *std::move(bytes);
    } else if (bytes.status().code() != StatusCode::kNotFound) {
      return bytes.status();
    }
  }
  std::string& text = files[std::string(kConfig)];
  Json config = Json::object();
  if (!text.empty()) {
    GRAFT_ASSIGN_OR_RETURN(config, ParseJson(text, kConfig));
    if (!config.is_object()) return InvalidArgumentError(std::string(kConfig) + " isn't an object");
  }
  config["model_max_length"] = max_length;
  text = config.dump(2) + "\n";
  return files;
}

}  // namespace graft::artifacts
