#pragma once
/// WordPiece: a word is cut into the longest pieces of the vocabulary, from left to right.
/// Source: huggingface/tokenizers, models/wordpiece/mod.rs.

#include <string>

#include "common/base/status.h"
#include "common/tokenizers/components/model.h"

namespace graft::tokenizers {

struct WordPieceOptions {
  /// What max_word_chars may be: a word is cut in linear time, but its ids are kept.
  static constexpr size_t kMaxWordChars = 100'000;

  Vocabulary vocabulary;
  std::string unk_token = "[UNK]";  ///< Stands for a word that pieces don't cover.
  std::string prefix = "##";        ///< Marks the pieces that continue a word.
  size_t max_word_chars = 100;      ///< A word of more characters is unknown.
};

/// Errors: InvalidArgument if the vocabulary lacks the unknown token, its tokens are too long
/// together or max_word_chars is too large.
StatusOr<ModelPtr> WordPiece(WordPieceOptions options);

}  // namespace graft::tokenizers
