#pragma once
/// Which of transformers' classes reads a folder's tokenizer, in version 4 and in version 5.
/// Source: transformers 4.57 and 5.23, models/auto/tokenization_auto.py.

#include <map>
#include <string>

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

enum class TokenizerClass {
  kGeneric,  ///< PreTrainedTokenizerFast, which takes tokenizer.json as it is.
  kBert,     ///< BertTokenizer and those that do the same.
  kLlama,    ///< LlamaTokenizer.
  kGpt2,     ///< GPT2Tokenizer.
  kQwen2     ///< Qwen2Tokenizer.
};

/// Version 4's classes take tokenizer.json's stages, and set parts of them; version 5's put the
/// stages together themselves, all but the post-processor, unless it is the generic class.
struct ReadingClasses {
  TokenizerClass v4 = TokenizerClass::kBert, v5 = TokenizerClass::kBert;
  std::string name;    ///< As the folder states it or its model implies it, for messages.
  bool types = false;  ///< Whether the class gives models token types, unless it is told.

  bool bert() const { return v4 == TokenizerClass::kBert; }
};

/// `is_word_piece`: the tokenizer's own model, if there is a tokenizer.json, is a WordPiece.
/// Errors: InvalidArgument if the class isn't stated as a text, or needs a tokenizer.json that
/// isn't there; Unimplemented for a class that isn't built, or that the two versions read as BERT's
/// and as none of BERT's.
StatusOr<ReadingClasses> ResolveClasses(const TokenizerFiles& files, const Json& config,
                                        const Json& model, bool is_word_piece);

/// What the class calls its special tokens where no file says otherwise ("bos_token": "<s>").
const std::map<std::string, std::string>& DefaultTokens(TokenizerClass of);

}  // namespace graft::tokenizers
