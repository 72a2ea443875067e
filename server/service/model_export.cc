#include "server/service/model_export.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/artifacts/file_names.h"
#include "common/artifacts/model_folder.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/tokenizers/tokenizer.h"
#include "server/service/convert.h"

namespace graft::server::service {
namespace {

constexpr uint64_t kMaxManifest = uint64_t{64} << 20;
constexpr size_t kMaxText = size_t{64} << 20;
constexpr size_t kMaxTexts = 128;
constexpr const char* kLanguageModelTexts[] = {
    "added_tokens.json", "chat_template.jinja",     "generation_config.json",
    "merges.txt",        "special_tokens_map.json", "tokenizer.json",
    "tokenizer.model",   "tokenizer_config.json",   "vocab.json",
    "vocab.txt"};

}  // namespace

StatusOr<artifacts::Files> TokenizerOf(const core::Version& version, const std::string& made_with,
                                       const StatusOr<intake::BasePtr>& base) {
  GRAFT_RETURN_IF_ERROR(base.status());
  GRAFT_ASSIGN_OR_RETURN(const auto files, tokenizers::ReadTokenizerFiles((*base)->folder));
  GRAFT_ASSIGN_OR_RETURN(const auto tokenizer, tokenizers::LoadTokenizer(files));
  const std::string& now = tokenizer->fingerprint();
  if (!made_with.empty() && made_with != now) {
    return FailedPreconditionError(
        fmt::format("{} now has a tokenizer with fingerprint {}, the version was made with {}",
                    version.base, now.substr(0, 12), made_with.substr(0, 12)));
  }
  GRAFT_ASSIGN_OR_RETURN(artifacts::Files exported,
                         artifacts::ExportedTokenizer(files, version.max_length));
  // As others will read them: beside a config.json that says nothing of a tokenizer.
  tokenizers::TokenizerFiles read(exported.begin(), exported.end());
  read["config.json"] = "{}";
  GRAFT_ASSIGN_OR_RETURN(const auto proof, tokenizers::LoadTokenizer(read));
  if (proof->fingerprint() != now) {
    return InternalError("the tokenizer of " + version.base +
                         " would be read differently without its own config.json");
  }
  return exported;
}

StatusOr<artifacts::Files> LanguageModelTexts(const std::filesystem::path& base_folder,
                                              bool has_template) {
  artifacts::Files files;
  for (const char* name : kLanguageModelTexts) {
    std::error_code error;
    if (!std::filesystem::exists(base_folder / name, error)) continue;
    GRAFT_ASSIGN_OR_RETURN(files[name], ReadFile(base_folder / name, kMaxText));
  }
  if (has_template) {
    files.erase(std::string(artifacts::kChatTemplateName));
    return files;
  }
  const std::string more(artifacts::kMoreTemplatesFolder);
  std::error_code error;
  for (std::filesystem::directory_iterator at(base_folder / more, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = more + "/" + at->path().filename().string();
    if (!artifacts::IsExportedName(name)) continue;
    if (files.size() >= kMaxTexts) return InvalidArgumentError(more + " holds too many templates");
    GRAFT_ASSIGN_OR_RETURN(files[name], ReadFile(at->path(), kMaxText));
  }
  return files;
}

bool IsWholeModel(const core::Version& version) {
  const StatusOr<Json> method = ParseJson(version.method_json, "the version's method");
  return method.ok() && method->is_object() && method->contains("full");
}

StatusOr<ModelExport> ExportModel(objects::ObjectStore& store, const core::Version& version,
                                  const StatusOr<intake::BasePtr>& base) {
  const std::string name(artifacts::kManifestName);
  GRAFT_ASSIGN_OR_RETURN(std::string manifest,
                         store.ReadRange(version.artifact_prefix + name, 0, kMaxManifest));
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Header header,
                         artifacts::ReadHeader({{name, std::move(manifest)}}));
  StatusOr<artifacts::Files> files = TokenizerOf(version, header.tokenizer, base);
  if (files.ok() && version.label_names.empty()) {
    // Its own is among its files.
    const bool has_template = std::find(header.files.begin(), header.files.end(),
                                        artifacts::kChatTemplateName) != header.files.end();
    GRAFT_ASSIGN_OR_RETURN(files, LanguageModelTexts((*base)->folder, has_template));
  }
  if (files.ok()) return ModelExport{*std::move(files), {}};
  const std::string warning = fmt::format(
      "the folder lacks its tokenizer: {}. Before transformers reads it, copy the tokenizer's "
      "files "
      "(tokenizer.json, tokenizer_config.json, vocab.txt) of the {} that it was trained on into "
      "it; "
      "without them every word is unknown",
      files.status().message(), version.base);
  spdlog::warn("the export of {} says: {}", VersionName(version.adapter, version.number), warning);
  return ModelExport{{{"README.md", "In this export " + warning + ".\n"}}, warning};
}

}  // namespace graft::server::service
