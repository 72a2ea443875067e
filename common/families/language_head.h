#pragma once
/// The layer to the vocabulary, by the name that all decoders have for it.

#include "common/families/layout.h"

namespace graft::families {

/// Its module path. Where a base ties it to the embeddings it has no tensor, but other programs'
/// files may hold one of that name.
inline constexpr const char* kLanguageHead = "lm_head";

/// True if the layer to the vocabulary is the word embeddings.
inline bool TiesLanguageHead(const Layout& layout) {
  return !layout.language_head.empty() &&
         layout.language_head.back().path == layout.embeddings.words;
}

}  // namespace graft::families
