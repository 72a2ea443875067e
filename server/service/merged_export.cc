#include "server/service/merged_export.h"

#include <fmt/format.h>

#include "common/artifacts/file_names.h"
#include "common/artifacts/model_folder.h"
#include "common/base/file.h"
#include "common/safetensors/checkpoint.h"
#include "common/tokenizers/tokenizer.h"
#include "server/service/model_export.h"

namespace graft::server::service {
namespace {

constexpr size_t kMaxFiles = 64;
constexpr uint64_t kMaxFile = uint64_t{8} << 30;
constexpr size_t kMaxText = size_t{64} << 20;
StatusOr<artifacts::Files> ReadVersion(objects::ObjectStore& store, const core::Version& version) {
  artifacts::Files files;
  GRAFT_ASSIGN_OR_RETURN(const auto keys,
                         objects::ListAll(store, version.artifact_prefix, kMaxFiles));
  for (const std::string& key : keys) {
    GRAFT_ASSIGN_OR_RETURN(files[key.substr(version.artifact_prefix.size())],
                           store.ReadRange(key, 0, kMaxFile));
  }
  return files;
}

}  // namespace

StatusOr<std::shared_ptr<MergedExport>> MergedExport::Open(objects::ObjectStore& store,
                                                           const core::Version& version,
                                                           const intake::BasePtr& base) {
  GRAFT_ASSIGN_OR_RETURN(artifacts::Files files, ReadVersion(store, version));
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Manifest manifest, artifacts::Open(files, base->layout));
  if (manifest.identity.base_fingerprint != base->fingerprint) {
    return FailedPreconditionError(
        fmt::format("{} now has the fingerprint {}, and the version was made on one with {}; it "
                    "can only be merged into that",
                    version.base, base->fingerprint.substr(0, 12),
                    manifest.identity.base_fingerprint.substr(0, 12)));
  }
  std::shared_ptr<MergedExport> merged(new MergedExport);
  merged->base_ = base;
  GRAFT_RETURN_IF_ERROR(merged->AddTexts(version, manifest, files));
  GRAFT_ASSIGN_OR_RETURN(auto checkpoint, safetensors::Checkpoint::Open(base->folder));
  GRAFT_ASSIGN_OR_RETURN(merged->weights_,
                         artifacts::MergedWeights::Plan(std::move(checkpoint), base->layout,
                                                        manifest, std::move(files)));
  return merged;
}

Status MergedExport::AddTexts(const core::Version& version, const artifacts::Manifest& manifest,
                              const artifacts::Files& files) {
  GRAFT_ASSIGN_OR_RETURN(const std::string config,
                         ReadFile(base_->folder / "config.json", kMaxText));
  GRAFT_ASSIGN_OR_RETURN(texts_["config.json"],
                         artifacts::MergedConfig(config, base_->layout, manifest.identity.task));
  // Checks that the base still has the tokenizer that the version was made with.
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Files tokenizer,
                         TokenizerOf(version, manifest.identity.tokenizer, base_));
  if (manifest.identity.task.kind == tasks::Kind::kSequenceClassification) {
    texts_.insert(tokenizer.begin(), tokenizer.end());
    return OkStatus();
  }
  const auto own = files.find(std::string(artifacts::kChatTemplateName));
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Files of_base,
                         LanguageModelTexts(base_->folder, own != files.end()));
  texts_.insert(of_base.begin(), of_base.end());
  if (own != files.end()) texts_.insert(*own);
  return OkStatus();
}

StatusOr<MergedExport::Piece> MergedExport::Next() {
  if (!texts_.empty()) {
    auto text = texts_.extract(texts_.begin());
    const auto total = static_cast<int64_t>(text.mapped().size());
    return Piece{text.key(), std::move(text.mapped()), total};
  }
  GRAFT_ASSIGN_OR_RETURN(std::string bytes, weights_->Next());
  if (bytes.empty()) return Piece{};
  return Piece{"model.safetensors", std::move(bytes), weights_->bytes()};
}

}  // namespace graft::server::service
