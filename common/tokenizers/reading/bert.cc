#include "common/tokenizers/reading/bert.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

/// tokenizer.json says something that BERT's own class has a fixed answer to, and another one:
/// transformers 4 heeds it, 5 doesn't.
Status Disagrees(const std::string& field, const std::string& bert) {
  return Bad(kTokenizerJson,
             field + " isn't " + bert +
                 ", which transformers 4 heeds in a BERT tokenizer and 5 does not; state "
                 "tokenizer_class PreTrainedTokenizerFast in tokenizer_config.json if the "
                 "file is right as it is");
}

StatusOr<int32_t> IdOf(const std::string& content, const Vocabulary& vocabulary,
                       const std::vector<AddedToken>& added) {
  const auto found = vocabulary.find(content);
  if (found != vocabulary.end()) return found->second;
  for (const AddedToken& token : added) {
    if (token.content == content) return token.id;
  }
  return InternalError("no id for a special token");
}

}  // namespace

Status CheckBert(const Json& json, const ModelOptions& options, const Statements& statements) {
  const auto* word_piece = std::get_if<WordPieceOptions>(&options);
  if (word_piece == nullptr) return Disagrees("the model", "WordPiece");
  const WordPieceOptions& model = *word_piece;
  const Json normalizer = Field(json, "normalizer");
  if (Field(normalizer, "type") != "BertNormalizer") {
    return Disagrees("the normalizer", "BertNormalizer");
  }
  if (Field(normalizer, "clean_text") == false) {
    return Disagrees("the normalizer's clean_text", "true");
  }
  if (Field(Field(json, "pre_tokenizer"), "type") != "BertPreTokenizer") {
    return Disagrees("the pre_tokenizer", "BertPreTokenizer");
  }
  if (model.prefix != "##") return Disagrees("the model's continuing_subword_prefix", "\"##\"");
  if (model.max_word_chars != 100) {
    return Disagrees("the model's max_input_chars_per_word", "100");
  }
  if (model.unk_token != statements.Named("unk_token")->content) {
    return Bad(kTokenizerJson, "the model's unk_token is " + Quoted(model.unk_token) +
                                   ", tokenizer_config.json's is " +
                                   Quoted(statements.Named("unk_token")->content) +
                                   ", and versions of transformers differ in which they heed");
  }
  return OkStatus();
}

StatusOr<Templates> ReadBertTemplates(const Json& json, const Statements& statements,
                                      const Vocabulary& vocabulary,
                                      const std::vector<AddedToken>& added) {
  GRAFT_ASSIGN_OR_RETURN(const int32_t cls,
                         IdOf(statements.Named("cls_token")->content, vocabulary, added));
  GRAFT_ASSIGN_OR_RETURN(const int32_t sep,
                         IdOf(statements.Named("sep_token")->content, vocabulary, added));
  Templates templates = BertTemplates(cls, sep);
  if (json.is_null()) return templates;
  GRAFT_ASSIGN_OR_RETURN(const Templates stated, ReadTemplates(Field(json, "post_processor")));
  if (stated == templates) return templates;
  return Disagrees("the post_processor", "cls_token, text, sep_token with " +
                                             Quoted(statements.Named("cls_token")->content) +
                                             " and " +
                                             Quoted(statements.Named("sep_token")->content));
}

void PutSpecialFirst(std::vector<AddedToken>* added) {
  auto place = added->begin();
  for (const char* content : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto found = std::find_if(
        place, added->end(), [&](const AddedToken& token) { return token.content == content; });
    if (found != added->end()) std::rotate(place++, found, found + 1);
  }
}

Status CheckOverruled(const Json& json, const Normalizer& normalizer,
                      const std::vector<AddedToken>& added) {
  if (json.is_null()) return OkStatus();
  GRAFT_ASSIGN_OR_RETURN(const NormalizerPtr own, ReadNormalizer(Field(json, "normalizer")));
  for (const AddedToken& token : added) {
    if (!token.normalized || own->Normalize(token.content) == normalizer.Normalize(token.content)) {
      continue;
    }
    return Bad("tokenizer_config.json",
               "its settings overrule tokenizer.json's normalizer, so that the added token " +
                   Quoted(token.content) +
                   " reads otherwise, and transformers 4 and 5 look for it differently; "
                   "save the tokenizer again");
  }
  return OkStatus();
}

}  // namespace graft::tokenizers
