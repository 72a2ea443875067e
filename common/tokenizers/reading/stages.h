#pragma once
/// The stages that tokenizer.json states, and the vocabulary of a vocab.txt.
/// Source: huggingface/tokenizers, the serialized form of each component.

#include <string_view>
#include <variant>
#include <vector>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/components/bpe.h"
#include "common/tokenizers/components/decoder.h"
#include "common/tokenizers/components/normalizer.h"
#include "common/tokenizers/components/post_processor.h"
#include "common/tokenizers/components/pre_tokenizer.h"
#include "common/tokenizers/components/word_piece.h"

namespace graft::tokenizers {

struct PreTokenization {
  PreTokenizerPtr pre_tokenizer;
  bool byte_level = false;  ///< Its words are to be spelled as bytes.
};

using ModelOptions = std::variant<WordPieceOptions, BpeOptions>;

/// All of them: InvalidArgument if malformed, Unimplemented for a component that isn't built,
/// naming it.
StatusOr<NormalizerPtr> ReadNormalizer(const Json& normalizer);         ///< null: text as it is.
StatusOr<PreTokenization> ReadPreTokenizer(const Json& pre_tokenizer);  ///< null: one word.
StatusOr<Templates> ReadTemplates(const Json& post_processor);          ///< null: nothing added.
StatusOr<DecoderPtr> ReadDecoder(const Json& decoder);                  ///< null: spaces between.
/// `byte_level`: what the pre-tokenizer says.
StatusOr<ModelOptions> ReadModel(const Json& model, bool byte_level);
/// Whether the model is a WordPiece, stated or meant.
bool IsWordPiece(const Json& model);
StatusOr<WordPieceOptions> ReadWordPiece(const Json& model);
StatusOr<BpeOptions> ReadBpe(const Json& model);

/// A token a line; of one that stands twice the last counts.
/// Errors: InvalidArgument if it isn't UTF-8, or a line ends in white space, which versions of
/// transformers read differently, with its number.
StatusOr<Vocabulary> ReadVocabTxt(std::string_view text);

}  // namespace graft::tokenizers
