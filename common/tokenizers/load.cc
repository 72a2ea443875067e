#include <algorithm>
#include <filesystem>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/tokenizers/pipeline.h"
#include "common/tokenizers/reading/added.h"
#include "common/tokenizers/reading/fields.h"
#include "common/tokenizers/reading/stages.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;
constexpr const char* kJson = "tokenizer.json";
constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kVocab = "vocab.txt";
constexpr const char* kNames[] = {
    kJson, kConfig, "special_tokens_map.json", kVocab, "added_tokens.json", "config.json"};

/// tokenizer.json says something that BERT's own class has a fixed answer to, and another one:
/// transformers 4 heeds it, 5 doesn't.
Status Disagrees(const std::string& field, const std::string& bert) {
  return Bad(kJson, field + " isn't " + bert +
                        ", which transformers 4 heeds in a BERT tokenizer and 5 does not; state "
                        "tokenizer_class PreTrainedTokenizerFast in tokenizer_config.json if the "
                        "file is right as it is");
}

/// Checks that tokenizer.json says nothing that BERT's class would overrule in one version of
/// transformers only. (Letter case, accents and Chinese characters it overrules in both.)
Status CheckBert(const Json& json, const WordPieceOptions& model, const Statements& statements) {
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
    return Bad(kJson, "the model's unk_token is " + Quoted(model.unk_token) +
                          ", tokenizer_config.json's is " +
                          Quoted(statements.Named("unk_token")->content) +
                          ", and versions of transformers differ in which they heed");
  }
  return OkStatus();
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

/// BERT's special tokens around a text; they are tokenizer.json's too, if there is one.
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

/// Versions are named by a hash over the added tokens in their order: without a tokenizer.json it
/// always was this one.
void PutSpecialFirst(std::vector<AddedToken>* added) {
  auto place = added->begin();
  for (const char* content : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto found = std::find_if(
        place, added->end(), [&](const AddedToken& token) { return token.content == content; });
    if (found != added->end()) std::rotate(place++, found, found + 1);
  }
}

/// transformers 4 still looks for added tokens in texts as tokenizer.json's normalizer leaves them
/// where settings overrule it, 5 doesn't.
Status CheckOverruled(const Json& json, const Stages& stages) {
  if (json.is_null()) return OkStatus();
  GRAFT_ASSIGN_OR_RETURN(const NormalizerPtr own, ReadNormalizer(Field(json, "normalizer")));
  for (const AddedToken& token : stages.added_tokens) {
    if (!token.normalized ||
        own->Normalize(token.content) == stages.normalizer->Normalize(token.content)) {
      continue;
    }
    return Bad(kConfig,
               "its settings overrule tokenizer.json's normalizer, so that the added token " +
                   Quoted(token.content) +
                   " reads otherwise, and transformers 4 and 5 look for it differently; "
                   "save the tokenizer again");
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<const Tokenizer>> Make(const Json& json, WordPieceOptions model,
                                                const Statements& statements) {
  GRAFT_ASSIGN_OR_RETURN(const std::vector<AddedToken> in_json,
                         ReadListedTokens(Field(json, "added_tokens")));
  Stages stages;
  GRAFT_ASSIGN_OR_RETURN(stages.added_tokens,
                         ResolveAddedTokens(in_json, statements, model.vocabulary));
  Templates templates;
  if (statements.bert) {
    stages.normalizer = BertNormalizer(statements.normalizer);
    GRAFT_RETURN_IF_ERROR(CheckOverruled(json, stages));
    stages.pre_tokenizer = BertPreTokenizer();
    GRAFT_ASSIGN_OR_RETURN(
        templates, ReadBertTemplates(json, statements, model.vocabulary, stages.added_tokens));
  } else {
    GRAFT_ASSIGN_OR_RETURN(stages.normalizer, ReadNormalizer(Field(json, "normalizer")));
    GRAFT_ASSIGN_OR_RETURN(stages.pre_tokenizer, ReadPreTokenizer(Field(json, "pre_tokenizer")));
    GRAFT_ASSIGN_OR_RETURN(templates, ReadTemplates(Field(json, "post_processor")));
  }
  stages.post_processor = TemplatePostProcessor(std::move(templates));
  if (json.is_null()) {
    PutSpecialFirst(&stages.added_tokens);
    stages.decoder = WordPieceDecoder("##", true);
  } else {
    GRAFT_ASSIGN_OR_RETURN(stages.decoder, ReadDecoder(Field(json, "decoder")));
  }
  stages.split_special_tokens = statements.split_special_tokens;
  stages.gives_types = statements.gives_types;
  stages.truncate_left =
      statements.truncate_left.value_or(Field(Field(json, "truncation"), "direction") == "Left");
  StatusOr<ModelPtr> made = WordPiece(std::move(model));
  if (!made.ok()) return Bad(json.is_null() ? kVocab : kJson, made.status().message());
  stages.model = *std::move(made);
  StatusOr<std::shared_ptr<const Tokenizer>> tokenizer = Pipeline::Create(std::move(stages));
  if (!tokenizer.ok()) return Bad(json.is_null() ? kConfig : kJson, tokenizer.status().message());
  return tokenizer;
}

}  // namespace

StatusOr<TokenizerFiles> ReadTokenizerFiles(const fs::path& folder) {
  TokenizerFiles files;
  for (const char* name : kNames) {
    std::error_code error;
    if (!fs::exists(folder / name, error)) continue;
    GRAFT_ASSIGN_OR_RETURN(files[name], ReadFile(folder / name, kMaxFile));
  }
  return files;
}

StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const TokenizerFiles& files) {
  const bool has_json = files.contains(kJson);
  if (!has_json && !files.contains(kVocab)) {
    return NotFoundError("there is neither tokenizer.json nor vocab.txt");
  }
  GRAFT_ASSIGN_OR_RETURN(const Statements statements, ReadStatements(files));
  for (const char* name : {"unk_token", "cls_token", "sep_token"}) {
    if (statements.bert && statements.Named(name) == nullptr) {
      return Bad(kConfig, std::string(name) + " is null, and BERT's tokenizer needs one");
    }
  }
  Json json;
  WordPieceOptions model;
  if (has_json) {
    GRAFT_ASSIGN_OR_RETURN(json, ParseJson(files.at(kJson), kJson));
    if (!json.is_object() || !json.contains("model")) return Bad(kJson, "it has no model");
    GRAFT_ASSIGN_OR_RETURN(model, ReadWordPiece(json["model"]));
    if (statements.bert) GRAFT_RETURN_IF_ERROR(CheckBert(json, model, statements));
  } else {
    GRAFT_ASSIGN_OR_RETURN(model.vocabulary, ReadVocabTxt(files.at(kVocab)));
    model.unk_token = statements.Named("unk_token")->content;
  }
  return Make(json, std::move(model), statements);
}

StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const fs::path& folder) {
  GRAFT_ASSIGN_OR_RETURN(const TokenizerFiles files, ReadTokenizerFiles(folder));
  if (!files.contains(kJson) && !files.contains(kVocab)) {
    return NotFoundError(folder.string() + " has neither tokenizer.json nor vocab.txt");
  }
  return LoadTokenizer(files);
}

}  // namespace graft::tokenizers
