#include <filesystem>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/tokenizers/tokenizer.h"
#include "common/tokenizers/wordpiece.h"

namespace graft::tokenizers {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;
constexpr int32_t kMaxId = 1 << 24;
constexpr const char* kNames[] = {"tokenizer.json",    "tokenizer_config.json",   "vocab.txt",
                                  "added_tokens.json", "special_tokens_map.json", "config.json"};

Status Bad(const std::string& what) { return InvalidArgumentError("tokenizer.json: " + what); }
Status NotBuilt(const std::string& part, const Json& type) {
  return UnimplementedError("tokenizer.json: the " + part + " " + type.dump().substr(0, 60) +
                            " isn't built");
}

/// The "type" of a component, null if it has none.
Json TypeOf(const Json& component) {
  return component.is_object() ? component.value("type", Json()) : Json();
}

/// Reads a flag of an object; absent or null it is `fallback`.
Status ReadFlag(const Json& json, const char* name, bool fallback, bool* flag) {
  const Json value = json.value(name, Json());
  if (!value.is_boolean() && !value.is_null()) {
    return InvalidArgumentError(std::string(name) + " must be true, false or null");
  }
  *flag = value.is_boolean() ? value.get<bool>() : fallback;
  return OkStatus();
}

StatusOr<int32_t> ReadId(const Json& id, const std::string& of) {
  if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxId)) {
    return Bad("the id of " + Quoted(of) + " isn't a number from 0 to " + std::to_string(kMaxId));
  }
  return id.get<int32_t>();
}

Status ReadNormalizer(const Json& normalizer, BertNormalizerFlags* flags) {
  if (TypeOf(normalizer) != "BertNormalizer") return NotBuilt("normalizer", TypeOf(normalizer));
  const auto read = [&](const char* name, bool fallback, bool* flag) {
    const Status status = ReadFlag(normalizer, name, fallback, flag);
    return status.ok() ? status : Bad("the normalizer's " + status.message());
  };
  GRAFT_RETURN_IF_ERROR(read("clean_text", true, &flags->clean_text));
  GRAFT_RETURN_IF_ERROR(read("handle_chinese_chars", true, &flags->handle_chinese_chars));
  GRAFT_RETURN_IF_ERROR(read("lowercase", true, &flags->lowercase));
  return read("strip_accents", flags->lowercase, &flags->strip_accents);  // null: as lowercase
}

Status ReadVocab(const Json& model, WordPieceOptions* options) {
  if (!model.contains("vocab") || !model["vocab"].is_object()) return Bad("the model has no vocab");
  std::unordered_set<int32_t> taken;
  for (const auto& [token, id] : model["vocab"].items()) {
    GRAFT_ASSIGN_OR_RETURN(const int32_t number, ReadId(id, token));
    if (!taken.insert(number).second) {
      return Bad("the token " + Quoted(token) + " has the id " + std::to_string(number) +
                 ", as another has");
    }
    options->vocab[token] = number;
  }
  for (const auto& [name, value] : {std::pair{"unk_token", &options->unk_token},
                                    {"continuing_subword_prefix", &options->prefix}}) {
    const Json text = model.value(name, Json());
    if (text.is_null()) continue;
    if (!text.is_string()) return Bad(std::string("the model's ") + name + " isn't a text");
    *value = text.get<std::string>();
  }
  if (const Json limit = model.value("max_input_chars_per_word", Json()); !limit.is_null()) {
    if (!limit.is_number_unsigned())
      return Bad("the model's max_input_chars_per_word isn't a count");
    options->max_word_chars = limit.get<size_t>();
  }
  return OkStatus();
}

Status ReadAddedTokens(const Json& tokens, WordPieceOptions* options) {
  if (!tokens.is_null() && !tokens.is_array()) return Bad("added_tokens isn't a list");
  std::unordered_map<int32_t, std::string> by_id;
  for (const auto& [token, id] : options->vocab) by_id[id] = token;
  for (const Json& json : tokens) {
    if (!json.is_object() || !json.contains("content") || !json["content"].is_string() ||
        !json.contains("id")) {
      return Bad("an added token lacks its content or id");
    }
    AddedToken token;
    token.content = json["content"].get<std::string>();
    GRAFT_ASSIGN_OR_RETURN(token.id, ReadId(json["id"], token.content));
    for (const auto& [name, flag] : {std::pair{"single_word", &token.single_word},
                                     {"lstrip", &token.lstrip},
                                     {"rstrip", &token.rstrip},
                                     {"normalized", &token.normalized}}) {
      if (const Status status = ReadFlag(json, name, false, flag); !status.ok()) {
        return Bad("of the added token " + Quoted(token.content) + ", " + status.message());
      }
    }
    const auto known = options->vocab.find(token.content);
    if (known != options->vocab.end() && known->second != token.id) {
      return Bad("the added token " + Quoted(token.content) + " has the id " +
                 std::to_string(token.id) + ", but the vocabulary says " +
                 std::to_string(known->second));
    }
    if (const auto [taken, is_new] = by_id.emplace(token.id, token.content);
        !is_new && taken->second != token.content) {
      return Bad("the added token " + Quoted(token.content) + " has the id " +
                 std::to_string(token.id) + ", as " + Quoted(taken->second) + " has");
    }
    options->added_tokens.push_back(std::move(token));
  }
  return OkStatus();
}

/// Reads a template in which each of the first `num_texts` texts stands once, and no other.
StatusOr<std::vector<TemplatePiece>> ReadTemplate(const Json& pieces, const Json& special_tokens,
                                                  int num_texts) {
  const Status malformed = Bad("the post-processor's template is malformed");
  std::vector<TemplatePiece> result;
  int texts_seen[2] = {0, 0};
  if (!pieces.is_array() || pieces.size() > 64) return malformed;
  for (const Json& piece : pieces) {
    if (!piece.is_object() || piece.size() != 1 || !piece.begin()->is_object()) return malformed;
    const Json& fields = *piece.begin();
    const Json id = fields.value("id", Json());
    const Json type_id = fields.value("type_id", Json(0));
    if (!id.is_string()) return malformed;
    if (type_id != 0 && type_id != 1)
      return Bad("a type_id of the post-processor's template isn't 0 or 1");
    TemplatePiece out;
    out.type_id = type_id.get<int32_t>();
    if (piece.contains("Sequence")) {
      if (id != "A" && id != "B") return Bad("a template names a text that isn't A or B");
      out.sequence = id == "A" ? 0 : 1;
      ++texts_seen[out.sequence];
      result.push_back(out);
    } else if (piece.contains("SpecialToken")) {
      const auto name = id.get<std::string>();
      if (!special_tokens.is_object() || !special_tokens.contains(name) ||
          !special_tokens[name].is_object()) {
        return Bad("a template names an unknown special token, " + Quoted(name));
      }
      const Json ids = special_tokens[name].value("ids", Json());
      if (!ids.is_array() || ids.size() > 64)
        return Bad("the special token " + Quoted(name) + " has no ids");
      for (const Json& number : ids) {
        GRAFT_ASSIGN_OR_RETURN(out.id, ReadId(number, name));
        result.push_back(out);
      }
    } else {
      return malformed;
    }
  }
  if (texts_seen[0] != 1 || texts_seen[1] != num_texts - 1) {
    return Bad("the post-processor's template doesn't hold each text once");
  }
  return result;
}

/// [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
void BertTemplates(int32_t cls, int32_t sep, WordPieceOptions* options) {
  options->single = {{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}};
  options->pair = {{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}, {1, 0, 1}, {-1, sep, 1}};
}

Status ReadPostProcessor(const Json& processor, WordPieceOptions* options) {
  const Json type = TypeOf(processor);
  if (type == "TemplateProcessing") {
    const Json special = processor.value("special_tokens", Json::object());
    GRAFT_ASSIGN_OR_RETURN(options->single,
                           ReadTemplate(processor.value("single", Json()), special, 1));
    GRAFT_ASSIGN_OR_RETURN(options->pair,
                           ReadTemplate(processor.value("pair", Json()), special, 2));
    return OkStatus();
  }
  if (type == "BertProcessing") {
    int32_t ids[2];
    for (const int i : {0, 1}) {
      const char* name = i == 0 ? "cls" : "sep";
      const Json token = processor.value(name, Json());
      if (!token.is_array() || token.size() != 2)
        return Bad(std::string("the post-processor has no ") + name);
      GRAFT_ASSIGN_OR_RETURN(ids[i], ReadId(token[1], name));
    }
    BertTemplates(ids[0], ids[1], options);
    return OkStatus();
  }
  return NotBuilt("post-processor", type);
}

StatusOr<std::shared_ptr<const Tokenizer>> FromJson(const Json& json) {
  if (!json.is_object() || !json.contains("model")) return Bad("it has no model");
  const Json& model = json["model"];
  // Older files leave the type out; only WordPiece has this prefix.
  const bool word_piece = TypeOf(model) == "WordPiece" ||
                          (model.is_object() && model.contains("continuing_subword_prefix") &&
                           !model.contains("merges"));
  if (!word_piece) return NotBuilt("model", TypeOf(model));
  if (TypeOf(json.value("pre_tokenizer", Json())) != "BertPreTokenizer") {
    return NotBuilt("pre-tokenizer", TypeOf(json.value("pre_tokenizer", Json())));
  }
  WordPieceOptions options;
  GRAFT_RETURN_IF_ERROR(ReadVocab(model, &options));
  GRAFT_RETURN_IF_ERROR(ReadNormalizer(json.value("normalizer", Json()), &options.normalizer));
  GRAFT_RETURN_IF_ERROR(ReadPostProcessor(json.value("post_processor", Json()), &options));
  GRAFT_RETURN_IF_ERROR(ReadAddedTokens(json.value("added_tokens", Json()), &options));
  return WordPieceTokenizer::Create(std::move(options));
}

StatusOr<std::shared_ptr<const Tokenizer>> FromVocabulary(const TokenizerFiles& files) {
  WordPieceOptions options;
  std::istringstream lines(files.at("vocab.txt"));
  int32_t id = 0;
  for (std::string line; std::getline(lines, line); ++id) {
    if (line.ends_with('\r')) line.pop_back();
    if (id > kMaxId)
      return InvalidArgumentError("vocab.txt has more than " + std::to_string(kMaxId) + " lines");
    options.vocab[line] =
        id;  // Of a token that stands twice, the last counts, as in the reference.
  }
  if (files.contains("tokenizer_config.json")) {
    GRAFT_ASSIGN_OR_RETURN(const Json config,
                           ParseJson(files.at("tokenizer_config.json"), "tokenizer_config.json"));
    if (!config.is_object()) return InvalidArgumentError("tokenizer_config.json isn't an object");
    BertNormalizerFlags& flags = options.normalizer;
    const auto read = [&](const char* name, bool fallback, bool* flag) {
      const Status status = ReadFlag(config, name, fallback, flag);
      return status.ok() ? status
                         : InvalidArgumentError("tokenizer_config.json: " + status.message());
    };
    GRAFT_RETURN_IF_ERROR(read("do_lower_case", true, &flags.lowercase));
    GRAFT_RETURN_IF_ERROR(read("tokenize_chinese_chars", true, &flags.handle_chinese_chars));
    GRAFT_RETURN_IF_ERROR(read("strip_accents", flags.lowercase, &flags.strip_accents));
  }
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto found = options.vocab.find(special);
    if (found == options.vocab.end())
      return InvalidArgumentError("vocab.txt lacks the token " + std::string(special));
    options.added_tokens.push_back({special, found->second});
  }
  BertTemplates(options.vocab.at("[CLS]"), options.vocab.at("[SEP]"), &options);
  return WordPieceTokenizer::Create(std::move(options));
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
  if (const auto json_file = files.find("tokenizer.json"); json_file != files.end()) {
    GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(json_file->second, "tokenizer.json"));
    return FromJson(json);
  }
  if (files.contains("vocab.txt")) return FromVocabulary(files);
  return NotFoundError("there is neither tokenizer.json nor vocab.txt");
}

StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const fs::path& folder) {
  GRAFT_ASSIGN_OR_RETURN(const TokenizerFiles files, ReadTokenizerFiles(folder));
  if (!files.contains("tokenizer.json") && !files.contains("vocab.txt")) {
    return NotFoundError(folder.string() + " has neither tokenizer.json nor vocab.txt");
  }
  return LoadTokenizer(files);
}

TokenizerFiles OverlaidFiles(const TokenizerFiles& base, const TokenizerFiles& own) {
  TokenizerFiles files;
  if (own.contains("tokenizer.json") || own.contains("vocab.txt")) {
    if (base.contains("config.json")) files["config.json"] = base.at("config.json");
  } else {
    files = base;
  }
  for (const auto& [name, text] : own) files[name] = text;
  return files;
}

std::optional<std::string> FirstDifference(const Tokenizer& a, const Tokenizer& b) {
  if (a.fingerprint() == b.fingerprint()) return std::nullopt;
  const auto ids = a.Tokens();
  const auto others = b.Tokens();
  const auto say = [](const std::string& token, const std::string& one, const std::string& other) {
    return Quoted(token, 60) + " is " + one + " in one and " + other + " in the other";
  };
  for (const auto& [token, id] : ids) {
    const auto other = others.find(token);
    if (other == others.end()) return say(token, std::to_string(id), "unknown");
    if (other->second != id) return say(token, std::to_string(id), std::to_string(other->second));
  }
  for (const auto& [token, id] : others) {
    if (!ids.contains(token)) return say(token, "unknown", std::to_string(id));
  }
  return "the same text is cut into other tokens";
}

}  // namespace graft::tokenizers
