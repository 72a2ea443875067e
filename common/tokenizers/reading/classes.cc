#include "common/tokenizers/reading/classes.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/utf8.h"
#include "common/tokenizers/reading/fields.h"

namespace graft::tokenizers {
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kModel = "config.json";
constexpr const char* kJson = "tokenizer.json";

constexpr std::pair<const char*, TokenizerClass> kClasses[] = {
    {"BertTokenizer", TokenizerClass::kBert},
    {"DistilBertTokenizer", TokenizerClass::kBert},
    {"ElectraTokenizer", TokenizerClass::kBert},
    {"MobileBertTokenizer", TokenizerClass::kBert},
    {"LlamaTokenizer", TokenizerClass::kLlama},
    {"GPT2Tokenizer", TokenizerClass::kGpt2},
    {"Qwen2Tokenizer", TokenizerClass::kQwen2},
    {"PreTrainedTokenizer", TokenizerClass::kGeneric},
    {"TokenizersBackend", TokenizerClass::kGeneric}};
/// Of BERT's classes the one that gives no token types: DistilBERT has none.
constexpr const char* kTypeless = "DistilBertTokenizer";

/// What the two versions read a type of model with where no class is stated.
struct ModelType {
  const char* name;
  TokenizerClass v4, v5;
};
constexpr ModelType kModelTypes[] = {{"bert", TokenizerClass::kBert, TokenizerClass::kBert},
                                     {"distilbert", TokenizerClass::kBert, TokenizerClass::kBert},
                                     {"electra", TokenizerClass::kBert, TokenizerClass::kBert},
                                     {"mobilebert", TokenizerClass::kBert, TokenizerClass::kBert},
                                     {"gpt2", TokenizerClass::kGpt2, TokenizerClass::kGpt2},
                                     {"llama", TokenizerClass::kLlama, TokenizerClass::kGeneric},
                                     {"mistral", TokenizerClass::kLlama, TokenizerClass::kGeneric},
                                     {"qwen2", TokenizerClass::kQwen2, TokenizerClass::kQwen2},
                                     {"qwen3", TokenizerClass::kQwen2, TokenizerClass::kQwen2}};

const ModelType* Find(const Json& model_type) {
  const auto* found = std::ranges::find_if(
      kModelTypes, [&](const ModelType& type) { return model_type == type.name; });
  return found != std::end(kModelTypes) ? found : nullptr;
}

/// What version 5 makes of a stated class.
TokenizerClass InVersion5(TokenizerClass stated, const Json& model_type, bool names_byte_level) {
  // It knows that some models' files state a wrong class.
  if (model_type == "qwen2") return TokenizerClass::kQwen2;
  if (model_type == "mistral") return TokenizerClass::kGeneric;
  // A Llama 3 states the class of a Llama 2.
  if (stated == TokenizerClass::kLlama && names_byte_level) return TokenizerClass::kGeneric;
  return stated;
}

/// No class is stated.
StatusOr<ReadingClasses> ImpliedClasses(const TokenizerFiles& files, const Json& model,
                                        bool is_word_piece) {
  const Json type = Field(model, "model_type");
  ReadingClasses out;
  out.types = true;
  if (const ModelType* known = Find(type)) {
    out.v4 = known->v4;
    out.v5 = known->v5;
    out.name = std::string("the class of models of type ") + known->name;
    out.types = out.bert();
    return out;
  }
  // A tokenizer.json by itself says all there is; with a model of a BERT family beside it, or with
  // settings, it is read by that family's class.
  if (is_word_piece) {
    const bool alone = files.contains(kJson) && !files.contains(kModel) && !files.contains(kConfig);
    if (alone) out.v4 = out.v5 = TokenizerClass::kGeneric;
    return out;
  }
  if (!type.is_null()) {
    return UnimplementedError(std::string(kModel) + ": the tokenizer class of models of type " +
                              Printable(type.dump(-1, ' ', true)) +
                              " isn't built; state one in tokenizer_config.json");
  }
  out.v4 = out.v5 = TokenizerClass::kGeneric;
  return out;
}

}  // namespace

StatusOr<ReadingClasses> ResolveClasses(const TokenizerFiles& files, const Json& config,
                                        const Json& model, bool is_word_piece) {
  std::string file = kConfig;
  Json name = Field(config, "tokenizer_class");
  if (name.is_null() && files.contains(kModel)) {
    file = kModel;
    name = Field(model, "tokenizer_class");
  }
  if (name.is_null()) return ImpliedClasses(files, model, is_word_piece);
  if (!name.is_string()) return Bad(file, "tokenizer_class isn't a text");
  ReadingClasses out;
  out.name = name.get<std::string>();
  std::string plain = out.name;
  if (plain.ends_with("Fast")) plain.resize(plain.size() - 4);
  const auto* known =
      std::ranges::find_if(kClasses, [&](const auto& entry) { return plain == entry.first; });
  if (known == std::end(kClasses)) return NotBuilt(file, "tokenizer_class", name);
  if (known->second != TokenizerClass::kBert && !files.contains(kJson)) {
    return Bad(file, "the tokenizer_class " + Quoted(out.name) +
                         " needs a tokenizer.json, which isn't there");
  }
  const bool names_byte_level =
      files.contains(kJson) && files.at(kJson).find("\"ByteLevel\"") != std::string::npos;
  out.v4 = known->second;
  out.v5 = InVersion5(out.v4, Field(model, "model_type"), names_byte_level);
  // Version 4 doesn't know this one: what only one version loads is read as that one does.
  if (plain == "TokenizersBackend") out.v4 = out.v5;
  out.types = out.bert() && plain != kTypeless;
  if (out.bert() != (out.v5 == TokenizerClass::kBert)) {
    return UnimplementedError(file + ": the tokenizer_class " + Quoted(out.name) +
                              " isn't built for models of this type, for which versions of "
                              "transformers read another");
  }
  return out;
}

const std::map<std::string, std::string>& DefaultTokens(TokenizerClass of) {
  static const std::map<std::string, std::string> kNone;
  static const std::map<std::string, std::string> kBert = {{"unk_token", "[UNK]"},
                                                           {"sep_token", "[SEP]"},
                                                           {"pad_token", "[PAD]"},
                                                           {"cls_token", "[CLS]"},
                                                           {"mask_token", "[MASK]"}};
  static const std::map<std::string, std::string> kLlama = {
      {"unk_token", "<unk>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
  static const std::map<std::string, std::string> kGpt2 = {{"unk_token", "<|endoftext|>"},
                                                           {"bos_token", "<|endoftext|>"},
                                                           {"eos_token", "<|endoftext|>"}};
  static const std::map<std::string, std::string> kQwen2 = {{"unk_token", "<|endoftext|>"},
                                                            {"eos_token", "<|endoftext|>"},
                                                            {"pad_token", "<|endoftext|>"}};
  switch (of) {
    case TokenizerClass::kGeneric:
      return kNone;
    case TokenizerClass::kBert:
      return kBert;
    case TokenizerClass::kLlama:
      return kLlama;
    case TokenizerClass::kGpt2:
      return kGpt2;
    case TokenizerClass::kQwen2:
      return kQwen2;
  }
  return kNone;
}

}  // namespace graft::tokenizers
