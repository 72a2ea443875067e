#pragma once
/// How a base makes one embedding of a text, as its sentence-transformers files say: modules.json,
/// the pooling's own config.json, sentence_bert_config.json (max_seq_length, without which
/// tokenizer_config.json's model_max_length counts; do_lower_case) and
/// config_sentence_transformers.json (prompts).
/// Source: sentence-transformers, SentenceTransformer and models/Transformer.

#include <filesystem>

#include "common/base/status.h"

namespace graft::worker::engine {

/// How the last hidden states of a text become one row.
enum class Pooling { kMean, kFirst };

struct EmbeddingRecipe {
  Pooling pooling = Pooling::kFirst;
  bool normalize = false;   ///< To length 1.
  int max_length = 0;       ///< Tokens that are read of a text; 0 if nothing says.
  bool lower_case = false;  ///< Texts are made small first.
};

/// Reads the files of a HuggingFace folder; one without them takes the first token's state.
/// Errors: Unimplemented for modules other than Transformer, Pooling and perhaps Normalize, in this
/// order, for a pooling that isn't exactly one of cls and mean, and for a prompt that is put before
/// each text by default: they make another embedding;
/// InvalidArgument or NotFound if a file is malformed or missing.
StatusOr<EmbeddingRecipe> ReadEmbeddingRecipe(const std::filesystem::path& folder);

}  // namespace graft::worker::engine
