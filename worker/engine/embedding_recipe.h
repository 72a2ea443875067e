#pragma once
/// How a base makes one embedding of a text, as its sentence-transformers files say: modules.json,
/// and the pooling's own config.json.

#include <filesystem>

#include "common/base/status.h"

namespace graft::worker::engine {

/// How the last hidden states of a text become one row.
enum class Pooling { kMean, kFirst };

struct EmbeddingRecipe {
  Pooling pooling = Pooling::kFirst;
  bool normalize = false;  ///< To length 1.
};

/// Reads the files of a HuggingFace folder; one without them takes the first token's state.
/// Errors: Unimplemented for modules other than Transformer, Pooling and perhaps Normalize, in this
/// order, and for a pooling that isn't exactly one of cls and mean: they make another embedding;
/// InvalidArgument or NotFound if a file is malformed or missing.
StatusOr<EmbeddingRecipe> ReadEmbeddingRecipe(const std::filesystem::path& folder);

}  // namespace graft::worker::engine
