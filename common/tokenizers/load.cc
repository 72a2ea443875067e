#include <filesystem>
#include <sstream>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/tokenizers/tokenizer.h"
#include "common/tokenizers/wordpiece.h"

namespace graft::tokenizers {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;

Status Bad(const std::string& what) { return InvalidArgumentError("tokenizer.json: " + what); }
Status NotBuilt(const std::string& part, const Json& type) {
  return UnimplementedError("tokenizer.json: the " + part + " " + type.dump().substr(0, 60) + " isn't built");
}

/// The "type" of a component, null if it has none.
Json TypeOf(const Json& component) { return component.is_object() ? component.value("type", Json()) : Json(); }

bool Flag(const Json& json, const char* name, bool fallback) {
  const Json value = json.value(name, Json());
  return value.is_boolean() ? value.get<bool>() : fallback;
}

Status ReadNormalizer(const Json& normalizer, BertNormalizerFlags* flags) {
  if (TypeOf(normalizer) != "BertNormalizer") return NotBuilt("normalizer", TypeOf(normalizer));
  flags->clean_text = Flag(normalizer, "clean_text", true);
  flags->handle_chinese_chars = Flag(normalizer, "handle_chinese_chars", true);
  flags->lowercase = Flag(normalizer, "lowercase", true);
  flags->strip_accents = Flag(normalizer, "strip_accents", flags->lowercase);  // null: as lowercase
  return OkStatus();
}

Status ReadVocab(const Json& model, WordPieceOptions* options) {
  if (!model.contains("vocab") || !model["vocab"].is_object()) return Bad("the model has no vocab");
  for (const auto& [token, id] : model["vocab"].items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > (1U << 24)) return Bad("a token's id is out of range");
    options->vocab[token] = id.get<int32_t>();
  }
  const auto text = [&](const char* name, std::string* value) {
    if (model.contains(name) && model[name].is_string()) *value = model[name].get<std::string>();
  };
  text("unk_token", &options->unk_token);
  text("continuing_subword_prefix", &options->prefix);
  if (const Json limit = model.value("max_input_chars_per_word", Json()); limit.is_number_unsigned()) {
    options->max_word_chars = limit.get<size_t>();
  }
  return OkStatus();
}

StatusOr<std::vector<TemplatePiece>> ReadTemplate(const Json& pieces, const Json& special_tokens) {
  std::vector<TemplatePiece> result;
  if (!pieces.is_array() || pieces.size() > 64) return Bad("the post-processor's template is malformed");
  for (const Json& piece : pieces) {
    TemplatePiece out;
    if (piece.is_object() && piece.contains("Sequence")) {
      const Json id = piece["Sequence"].value("id", Json());
      if (id != "A" && id != "B") return Bad("a template names a text that isn't A or B");
      out.sequence = id == "A" ? 0 : 1;
      out.type_id = piece["Sequence"].value("type_id", 0);
      result.push_back(out);
    } else if (piece.is_object() && piece.contains("SpecialToken")) {
      const std::string name = piece["SpecialToken"].value("id", "");
      if (!special_tokens.is_object() || !special_tokens.contains(name)) return Bad("a template names an unknown special token");
      out.type_id = piece["SpecialToken"].value("type_id", 0);
      for (const Json& id : special_tokens[name].value("ids", Json::array())) {
        out.id = id.get<int32_t>();
        result.push_back(out);
      }
    } else {
      return Bad("the post-processor's template is malformed");
    }
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
    GRAFT_ASSIGN_OR_RETURN(options->single, ReadTemplate(processor.value("single", Json()), special));
    GRAFT_ASSIGN_OR_RETURN(options->pair, ReadTemplate(processor.value("pair", Json()), special));
    return OkStatus();
  }
  if (type == "BertProcessing") {
    BertTemplates(processor.at("cls").at(1), processor.at("sep").at(1), options);
    return OkStatus();
  }
  return NotBuilt("post-processor", type);
}

StatusOr<std::shared_ptr<const Tokenizer>> FromJson(const Json& json) {
  if (!json.is_object() || !json.contains("model")) return Bad("it has no model");
  const Json& model = json["model"];
  // Older files leave the type out; only WordPiece has this prefix.
  const bool word_piece = TypeOf(model) == "WordPiece" || (model.is_object() && model.contains("continuing_subword_prefix") && !model.contains("merges"));
  if (!word_piece) return NotBuilt("model", TypeOf(model));
  if (TypeOf(json.value("pre_tokenizer", Json())) != "BertPreTokenizer") {
    return NotBuilt("pre-tokenizer", TypeOf(json.value("pre_tokenizer", Json())));
  }
  WordPieceOptions options;
  GRAFT_RETURN_IF_ERROR(ReadVocab(model, &options));
  GRAFT_RETURN_IF_ERROR(ReadNormalizer(json.value("normalizer", Json()), &options.normalizer));
  GRAFT_RETURN_IF_ERROR(ReadPostProcessor(json.value("post_processor", Json()), &options));
  for (const Json& token : json.value("added_tokens", Json::array())) {
    options.added_tokens.push_back({token.at("content").get<std::string>(), token.at("id").get<int32_t>(),
                                    Flag(token, "single_word", false), Flag(token, "lstrip", false),
                                    Flag(token, "rstrip", false), Flag(token, "normalized", false)});
  }
  return WordPieceTokenizer::Create(std::move(options));
}

StatusOr<std::shared_ptr<const Tokenizer>> FromVocabulary(const fs::path& folder) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder / "vocab.txt", kMaxFile));
  WordPieceOptions options;
  std::istringstream lines(text);
  int32_t id = 0;
  for (std::string line; std::getline(lines, line); ++id) {
    if (line.ends_with('\r')) line.pop_back();
    options.vocab[line] = id;
  }
  std::error_code error;
  if (fs::exists(folder / "tokenizer_config.json", error)) {
    GRAFT_ASSIGN_OR_RETURN(const std::string config_text, ReadFile(folder / "tokenizer_config.json", kMaxFile));
    GRAFT_ASSIGN_OR_RETURN(const Json config, ParseJson(config_text, "tokenizer_config.json"));
    options.normalizer.lowercase = Flag(config, "do_lower_case", true);
    options.normalizer.handle_chinese_chars = Flag(config, "tokenize_chinese_chars", true);
    options.normalizer.strip_accents = Flag(config, "strip_accents", options.normalizer.lowercase);
  }
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    const auto found = options.vocab.find(special);
    if (found == options.vocab.end()) return InvalidArgumentError("vocab.txt lacks the token " + std::string(special));
    options.added_tokens.push_back({special, found->second});
  }
  BertTemplates(options.vocab.at("[CLS]"), options.vocab.at("[SEP]"), &options);
  return WordPieceTokenizer::Create(std::move(options));
}

}  // namespace

StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "tokenizer.json", error)) {
    GRAFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder / "tokenizer.json", kMaxFile));
    GRAFT_ASSIGN_OR_RETURN(const Json json, ParseJson(text, "tokenizer.json"));
    try {
      return FromJson(json);
    } catch (const Json::exception& fault) {
      return Bad(fault.what());
    }
  }
  if (fs::exists(folder / "vocab.txt", error)) return FromVocabulary(folder);
  return NotFoundError(folder.string() + " has neither tokenizer.json nor vocab.txt");
}

}  // namespace graft::tokenizers
