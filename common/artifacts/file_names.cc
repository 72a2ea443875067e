#include "common/artifacts/file_names.h"

#include <algorithm>
#include <array>

#include "common/artifacts/chat.h"

namespace graft::artifacts {
namespace {

constexpr std::array<std::string_view, 5> kTokenizerFiles = {
    "added_tokens.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
    "vocab.txt"};

}  // namespace

bool IsExportedName(std::string_view name) {
  const std::string folder = std::string(kMoreTemplatesFolder) + "/";
  if (name.starts_with(folder)) {
    name.remove_prefix(folder.size());
    if (!name.ends_with(".jinja")) return false;
  }
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

std::map<std::string, std::string> TokenizerFilesAmong(
    const std::map<std::string, std::string>& files) {
  std::map<std::string, std::string> found;
  for (const std::string_view name : kTokenizerFiles) {
    const auto file = files.find(std::string(name));
    if (file != files.end()) found.insert(*file);
  }
  return found;
}

bool SaysOfItself(std::string_view name) {
  return name == "config.json" || name == kChatTemplateName ||
         std::find(kTokenizerFiles.begin(), kTokenizerFiles.end(), name) != kTokenizerFiles.end();
}

bool IsPeftWeights(std::string_view name) {
  constexpr std::string_view kBegin = "adapter_model", kEnd = ".safetensors";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return false;
  const std::string_view shard =
      name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  return shard.empty() ||
         (shard.front() == '-' && shard.find_first_not_of("-of0123456789") == shard.npos);
}

bool IsHubWeights(std::string_view name) {
  return name == "adapter.safetensors" || name == "model_head.safetensors" ||
         name == "base_overrides.safetensors";
}

bool MayBeRead(std::string_view name, bool is_version) {
  if (name == kManifestName || name == "adapter_config.json" || name == "head_config.json")
    return true;
  // A whole model beside an adapter is somebody else's; of a version it may be all.
  if (name == "model.safetensors") return is_version;
  return IsPeftWeights(name) || IsHubWeights(name) || SaysOfItself(name);
}

}  // namespace graft::artifacts
