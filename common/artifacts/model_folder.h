#pragma once
/// What makes an exported whole model a folder that transformers answers from alike: the files of
/// its base's tokenizer. They are no part of a version, whose name holds the tokenizer's
/// fingerprint; an export adds them, an import leaves them aside.

#include <filesystem>

#include "common/artifacts/artifact.h"

namespace graft::artifacts {

/// The tokenizer's files in a base's folder. tokenizer_config.json, made if there is none, bids
/// transformers cut texts at `max_length` tokens as graft does.
/// Errors: those of reading a file; InvalidArgument if tokenizer_config.json is no JSON object.
StatusOr<Files> TokenizerFiles(const std::filesystem::path& folder, int max_length);

}  // namespace graft::artifacts
