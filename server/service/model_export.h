#pragma once
/// What an export holds beside a version's own files.

#include <filesystem>
#include <string>

#include "common/artifacts/artifact.h"
#include "common/objects/object_store.h"
#include "server/core/rows.h"
#include "server/intake/base_catalog.h"

namespace graft::server::service {

/// True if the version's files are a whole model, which needs a tokenizer to be one to others.
bool IsWholeModel(const core::Version& version);

struct ModelExport {
  artifacts::Files files;
  std::string warning;  ///< What the folder lacks, and why; empty if nothing.
};

/// The files of the base's tokenizer as a classifier's folder has them, read now.
/// Errors: FailedPrecondition, with the reason, if the version wasn't made with that tokenizer.
StatusOr<artifacts::Files> TokenizerOf(const core::Version& version, const std::string& made_with,
                                       const StatusOr<intake::BasePtr>& base);

/// What a language model's folder has beside its weights and config.json: tokenizer, chat
/// templates, generation_config.json, each as the base has it. Of a version with a chat template of
/// its own (`has_template`) those of the base are left out: none of them is used there.
/// Errors: as ReadFile.
StatusOr<artifacts::Files> LanguageModelTexts(const std::filesystem::path& base_folder,
                                              bool has_template);

/// The tokenizer's files of a whole model, if `base` has the tokenizer that the version was made
/// with; else a README.md with the warning. For the disk threads.
/// Errors: those of reading the version's graft.json.
StatusOr<ModelExport> ExportModel(objects::ObjectStore& store, const core::Version& version,
                                  const StatusOr<intake::BasePtr>& base);

}  // namespace graft::server::service
