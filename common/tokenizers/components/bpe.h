#pragma once
/// Byte pair encoding: a word's characters, or bytes, are joined as long as a merge says so.
/// Source: huggingface/tokenizers, models/bpe/model.rs.

#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/tokenizers/components/bpe_units.h"
#include "common/tokenizers/components/model.h"

namespace graft::tokenizers {

struct BpeOptions {
  Vocabulary vocabulary;
  /// Left and right token, in the order in which they are tried.
  std::vector<std::pair<std::string, std::string>> merges;
  BpeUnitOptions units;
  bool ignore_merges = false;  ///< A word that is a token is that token, whatever merges say.
};

/// Errors: InvalidArgument if a merge's tokens, or the one that it makes, aren't in the vocabulary,
/// saying which; or if a character can be unknown and the vocabulary lacks the unknown token.
StatusOr<ModelPtr> Bpe(BpeOptions options);

}  // namespace graft::tokenizers
