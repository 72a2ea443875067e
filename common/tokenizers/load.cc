#include <algorithm>
#include <filesystem>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/tokenizers/components/word_piece.h"
#include "common/tokenizers/pipeline.h"
#include "common/tokenizers/reading/added.h"
#include "common/tokenizers/reading/agreement.h"
#include "common/tokenizers/reading/bert.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;
constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kVocab = "vocab.txt";
constexpr const char* kNames[] = {
    kTokenizerJson, kConfig, "special_tokens_map.json", kVocab, "added_tokens.json", "config.json"};

const Vocabulary& VocabularyOf(const ModelOptions& model) {
  return std::visit([](const auto& options) -> const Vocabulary& { return options.vocabulary; },
                    model);
}

StatusOr<ModelPtr> MakeModel(ModelOptions options) {
  if (auto* bpe = std::get_if<BpeOptions>(&options)) return Bpe(std::move(*bpe));
  return WordPiece(std::get<WordPieceOptions>(std::move(options)));
}

/// What a folder, or a class that reads it, calls its special tokens, with their ids.
std::map<std::string, SpecialToken> NamedSpecials(const Statements& statements,
                                                  const Vocabulary& vocabulary,
                                                  const std::vector<AddedToken>& added) {
  std::map<std::string, SpecialToken> specials;
  for (const auto* tokens : {&statements.named, &statements.one_sided}) {
    for (const NamedToken& token : *tokens) {
      const auto found = std::ranges::find(added, token.content, &AddedToken::content);
      if (found != added.end()) {
        specials[token.name] = {token.content, found->id};
      } else if (const auto known = vocabulary.find(token.content); known != vocabulary.end()) {
        specials[token.name] = {token.content, known->second};
      }
    }
  }
  return specials;
}

/// A model would be given embeddings that it doesn't have.
Status CheckIds(const Templates& templates, const Vocabulary& vocabulary,
                const std::vector<AddedToken>& added) {
  for (const auto* pieces : {&templates.single, &templates.pair}) {
    for (const TemplatePiece& piece : *pieces) {
      const auto has_id = [&](const auto& token) { return token.second == piece.id; };
      if (piece.sequence >= 0 || std::ranges::any_of(vocabulary, has_id) ||
          std::ranges::find(added, piece.id, &AddedToken::id) != added.end()) {
        continue;
      }
      return Bad(kTokenizerJson, "the post-processor puts the id " + std::to_string(piece.id) +
                                     " around texts, which no token has");
    }
  }
  return OkStatus();
}

/// Normalizer, pre-tokenizer and special tokens as BERT's class sets them.
StatusOr<Templates> SetBertStages(const Json& json, const Statements& statements,
                                  const Vocabulary& vocabulary, Stages* stages) {
  stages->normalizer = BertNormalizer(statements.normalizer);
  GRAFT_RETURN_IF_ERROR(CheckOverruled(json, *stages->normalizer, stages->added_tokens));
  stages->pre_tokenizer = BertPreTokenizer();
  return ReadBertTemplates(json, statements, vocabulary, stages->added_tokens);
}

StatusOr<Templates> SetStages(const Json& json, const Statements& statements,
                              const ModelOptions& model, Stages* stages) {
  GRAFT_RETURN_IF_ERROR(CheckAgreement(json, statements, *stages, model));
  GRAFT_ASSIGN_OR_RETURN(Templates templates, ReadTemplates(Field(json, "post_processor")));
  const auto special = [&](const char* name) {
    const auto found = stages->special_tokens.find(name);
    return found != stages->special_tokens.end() ? &found->second : nullptr;
  };
  GRAFT_RETURN_IF_ERROR(
      CheckTemplates(statements, templates, special("bos_token"), special("eos_token")));
  return templates;
}

StatusOr<std::shared_ptr<const Tokenizer>> Make(const Json& json, ModelOptions model, Stages stages,
                                                const Statements& statements) {
  const Vocabulary& vocabulary = VocabularyOf(model);
  GRAFT_ASSIGN_OR_RETURN(const std::vector<AddedToken> in_json,
                         ReadListedTokens(Field(json, "added_tokens")));
  GRAFT_ASSIGN_OR_RETURN(stages.added_tokens, ResolveAddedTokens(in_json, statements, vocabulary));
  stages.special_tokens = NamedSpecials(statements, vocabulary, stages.added_tokens);
  Templates templates;
  if (statements.classes.bert()) {
    GRAFT_ASSIGN_OR_RETURN(templates, SetBertStages(json, statements, vocabulary, &stages));
  } else {
    GRAFT_ASSIGN_OR_RETURN(templates, SetStages(json, statements, model, &stages));
  }
  GRAFT_RETURN_IF_ERROR(CheckIds(templates, vocabulary, stages.added_tokens));
  stages.post_processor = TemplatePostProcessor(std::move(templates));
  if (json.is_null()) PutSpecialFirst(&stages.added_tokens);
  stages.split_special_tokens = statements.split_special_tokens;
  stages.gives_types = statements.gives_types;
  stages.truncate_left =
      statements.truncate_left.value_or(Field(Field(json, "truncation"), "direction") == "Left");
  StatusOr<ModelPtr> made = MakeModel(std::move(model));
  if (!made.ok()) return Bad(json.is_null() ? kVocab : kTokenizerJson, made.status().message());
  stages.model = *std::move(made);
  StatusOr<std::shared_ptr<const Tokenizer>> tokenizer = Pipeline::Create(std::move(stages));
  if (!tokenizer.ok()) {
    return Bad(json.is_null() ? kConfig : kTokenizerJson, tokenizer.status().message());
  }
  return tokenizer;
}

StatusOr<std::shared_ptr<const Tokenizer>> MakeFromVocabTxt(const std::string& text,
                                                            const Statements& statements) {
  const auto unknown = statements.Named("unk_token");
  if (!statements.classes.bert() || !unknown) {
    return NotFoundError(
        "the folder has a vocab.txt, which is a vocabulary of BERT's kind, but no tokenizer.json, "
        "and "
        "the tokenizer of this model isn't of that kind; put its tokenizer.json there");
  }
  WordPieceOptions model;
  GRAFT_ASSIGN_OR_RETURN(model.vocabulary, ReadVocabTxt(text));
  model.unk_token = unknown->content;
  Stages stages;
  stages.decoder = WordPieceDecoder("##", true);
  return Make(Json(), std::move(model), std::move(stages), statements);
}

StatusOr<std::shared_ptr<const Tokenizer>> MakeFromJson(const Json& json,
                                                        const Statements& statements) {
  Stages stages;
  bool byte_level = false;
  if (!statements.classes.bert()) {
    GRAFT_ASSIGN_OR_RETURN(stages.normalizer, ReadNormalizer(Field(json, "normalizer")));
    GRAFT_ASSIGN_OR_RETURN(PreTokenization split, ReadPreTokenizer(Field(json, "pre_tokenizer")));
    stages.pre_tokenizer = std::move(split.pre_tokenizer);
    byte_level = split.byte_level;
  }
  GRAFT_ASSIGN_OR_RETURN(ModelOptions model, ReadModel(json["model"], byte_level));
  if (statements.classes.bert()) GRAFT_RETURN_IF_ERROR(CheckBert(json, model, statements));
  GRAFT_ASSIGN_OR_RETURN(stages.decoder, ReadDecoder(Field(json, "decoder")));
  return Make(json, std::move(model), std::move(stages), statements);
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
  const bool has_json = files.contains(kTokenizerJson);
  if (!has_json && !files.contains(kVocab)) {
    return NotFoundError("there is neither tokenizer.json nor vocab.txt");
  }
  Json json;
  if (has_json) {
    GRAFT_ASSIGN_OR_RETURN(json, ParseJson(files.at(kTokenizerJson), kTokenizerJson));
    if (!json.is_object() || !json.contains("model")) return Bad(kTokenizerJson, "it has no model");
  }
  GRAFT_ASSIGN_OR_RETURN(const Statements statements,
                         ReadStatements(files, !has_json || IsWordPiece(json["model"])));
  for (const char* name : {"unk_token", "cls_token", "sep_token"}) {
    if (statements.classes.bert() && statements.Named(name) == nullptr) {
      return Bad(kConfig, std::string(name) + " is null, and BERT's tokenizer needs one");
    }
  }
  return has_json ? MakeFromJson(json, statements) : MakeFromVocabTxt(files.at(kVocab), statements);
}

StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const fs::path& folder) {
  GRAFT_ASSIGN_OR_RETURN(const TokenizerFiles files, ReadTokenizerFiles(folder));
  if (!files.contains(kTokenizerJson) && !files.contains(kVocab)) {
    return NotFoundError(folder.string() + " has neither tokenizer.json nor vocab.txt");
  }
  return LoadTokenizer(files);
}

}  // namespace graft::tokenizers
