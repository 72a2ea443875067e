#include "server/rpc/model_export.h"

#include <fmt/format.h>

#include "common/artifacts/model_folder.h"
#include "common/base/json.h"

namespace graft::server::rpc {
namespace {

constexpr uint64_t kMaxManifest = uint64_t{64} << 20;

/// Why the base's tokenizer can't be given along; empty if it can.
std::string WhyWithout(const core::Version& version, const artifacts::Header& header,
                       const StatusOr<intake::BasePtr>& base) {
  if (!base.ok()) return std::string(base.status().message());
  const std::string& now = (*base)->tokenizer->fingerprint();
  if (header.tokenizer.empty() || header.tokenizer == now) return {};
  return fmt::format("{} now has a tokenizer with fingerprint {}, the version was made with {}",
                     version.base, now.substr(0, 12), header.tokenizer.substr(0, 12));
}

}  // namespace

bool IsWholeModel(const core::Version& version) {
  const Json method = Json::parse(version.method_json, nullptr, /*allow_exceptions=*/false);
  return method.is_object() && method.contains("full");
}

StatusOr<artifacts::Files> ModelExportFiles(objects::ObjectStore& store,
                                            const core::Version& version,
                                            const StatusOr<intake::BasePtr>& base) {
  const std::string name(artifacts::kManifestName);
  GRAFT_ASSIGN_OR_RETURN(std::string manifest,
                         store.ReadRange(version.artifact_prefix + name, 0, kMaxManifest));
  GRAFT_ASSIGN_OR_RETURN(const artifacts::Header header,
                         artifacts::ReadHeader({{name, std::move(manifest)}}));
  const std::string why = WhyWithout(version, header, base);
  if (why.empty()) return artifacts::TokenizerFiles((*base)->folder, version.max_length);
  return artifacts::Files{
      {"README.md",
       fmt::format("This folder lacks its tokenizer: {}.\n\nBefore transformers reads it, copy the "
                   "tokenizer's files (tokenizer.json, tokenizer_config.json, vocab.txt) of the "
                   "{} that it was trained on into it; without them every word is unknown.\n",
                   why, version.base)}};
}

}  // namespace graft::server::rpc
