#pragma once
/// What makes an exported whole model a folder that transformers answers from alike: the files of
/// its base's tokenizer. They are no part of a version, whose name holds the tokenizer's
/// fingerprint; an export adds them, an import leaves them aside.

#include "common/artifacts/artifact.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::artifacts {

/// A base's tokenizer files as the export has them. tokenizer_config.json, made if there is none,
/// bids transformers cut texts at `max_length` tokens as graft does.
/// Errors: InvalidArgument if tokenizer_config.json is no JSON object.
StatusOr<Files> ExportedTokenizer(const tokenizers::TokenizerFiles& of_base, int max_length);

}  // namespace graft::artifacts
