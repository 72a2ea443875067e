#pragma once
/// What is BERT's alone: its class sets most of a tokenizer by itself.
/// Source: how transformers 4.57 and 5.23 read such folders.

#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/post_processor.h"
#include "common/tokenizers/reading/stages.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {

/// Checks that tokenizer.json says nothing that BERT's class would overrule in one version of
/// transformers only. (Letter case, accents and Chinese characters it overrules in both.)
/// Errors: InvalidArgument, naming the field.
Status CheckBert(const Json& json, const ModelOptions& options, const Statements& statements);

/// BERT's special tokens around a text; they are tokenizer.json's too, if there is one (`json`
/// isn't null). Errors: InvalidArgument if they aren't.
StatusOr<Templates> ReadBertTemplates(const Json& json, const Statements& statements,
                                      const Vocabulary& vocabulary,
                                      const std::vector<AddedToken>& added);

/// transformers 4 still looks for added tokens in texts as tokenizer.json's normalizer leaves them
/// where settings overrule it, 5 doesn't. `normalizer` is the one that counts.
/// Errors: InvalidArgument, naming a token that both read differently.
Status CheckOverruled(const Json& json, const Normalizer& normalizer,
                      const std::vector<AddedToken>& added);

/// Puts BERT's special tokens first: versions are named by a hash over the added tokens in their
/// order, and without a tokenizer.json it always was this one.
void PutSpecialFirst(std::vector<AddedToken>* added);

}  // namespace graft::tokenizers
