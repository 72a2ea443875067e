#pragma once
/// Which tokens a folder adds to its vocabulary, and their ids.

#include <vector>

#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/model.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {

/// tokenizer.json's added_tokens, with the ids that it states. Errors: InvalidArgument.
StatusOr<std::vector<AddedToken>> ReadListedTokens(const Json& added_tokens);

/// The added tokens of a folder whose tokenizer.json, if there is one, lists `in_json`: those, then
/// what the other files list, then special tokens that no file lists. As transformers does, ids are
/// the vocabulary's where it knows the token, else the next free one, whatever gaps the stated ids
/// have.
/// Errors: InvalidArgument if a file states a known token's id wrongly or the id of another, or two
/// versions of transformers would add or number tokens differently, naming file and token.
StatusOr<std::vector<AddedToken>> ResolveAddedTokens(const std::vector<AddedToken>& in_json,
                                                     const Statements& statements,
                                                     const Vocabulary& vocabulary);

}  // namespace graft::tokenizers
