#pragma once
/// Which tokens a folder adds to its vocabulary, and their ids.

#include <vector>

#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/model.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {

/// The added tokens of a folder whose tokenizer.json, if there is one, lists `in_json`: those, then
/// what the other files list, then special tokens that no file lists. transformers gives ids by
/// itself: the vocabulary's where it knows the token, else the next free one.
/// Errors: InvalidArgument if a file states another id than that, or two versions of transformers
/// would add other tokens, naming file and token.
StatusOr<std::vector<AddedToken>> ResolveAddedTokens(const std::vector<AddedToken>& in_json,
                                                     const Statements& statements,
                                                     const Vocabulary& vocabulary);

}  // namespace graft::tokenizers
