#pragma once
/// The stages that tokenizer.json states, and the vocabulary of a vocab.txt.
/// Source: huggingface/tokenizers, the serialized form of each component.

#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/decoder.h"
#include "common/tokenizers/components/normalizer.h"
#include "common/tokenizers/components/post_processor.h"
#include "common/tokenizers/components/pre_tokenizer.h"
#include "common/tokenizers/components/word_piece.h"

namespace graft::tokenizers {

/// All of them: InvalidArgument if malformed, Unimplemented for a component that isn't built,
/// naming it.
StatusOr<NormalizerPtr> ReadNormalizer(const Json& normalizer);  ///< null: text as it is.
StatusOr<PreTokenizerPtr> ReadPreTokenizer(const Json& pre_tokenizer);
StatusOr<WordPieceOptions> ReadWordPiece(const Json& model);
StatusOr<Templates> ReadTemplates(const Json& post_processor);
StatusOr<DecoderPtr> ReadDecoder(const Json& decoder);

/// tokenizer.json's added_tokens, with the ids that it states.
StatusOr<std::vector<AddedToken>> ReadListedTokens(const Json& added_tokens);

/// A token a line; of one that stands twice the last counts.
/// Errors: InvalidArgument if it isn't UTF-8, or a line ends in white space, which versions of
/// transformers read differently, with its number.
StatusOr<Vocabulary> ReadVocabTxt(std::string_view text);

}  // namespace graft::tokenizers
