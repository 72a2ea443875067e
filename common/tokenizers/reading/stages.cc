#include "common/tokenizers/reading/stages.h"

#include <unordered_set>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/tokenizers/reading/fields.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

constexpr const char* kFile = "tokenizer.json";
constexpr int kMaxParts = 32;
constexpr int kMaxDepth = 4;

Json TypeOf(const Json& component) { return Field(component, "type"); }

/// The parts of a Sequence, read one by one by `read`.
template <typename Part, typename Read>
StatusOr<std::vector<Part>> ReadParts(const Json& parts, const char* what, const Read& read) {
  if (!parts.is_array() || parts.size() > kMaxParts) {
    return Bad(kFile, std::string("the ") + what + "'s Sequence isn't a list of at most " +
                          std::to_string(kMaxParts));
  }
  std::vector<Part> result;
  for (const Json& part : parts) {
    GRAFT_ASSIGN_OR_RETURN(Part made, read(part));
    result.push_back(std::move(made));
  }
  return result;
}

StatusOr<NormalizerPtr> ReadBertNormalizer(const Json& normalizer) {
  BertNormalizerFlags flags;
  const auto read = [&](const char* name, bool* flag) {
    const Status status = ReadFlag(kFile, normalizer, name, flag);
    return status.ok() ? status : InvalidArgumentError(status.message() + ", in the normalizer");
  };
  GRAFT_RETURN_IF_ERROR(read("clean_text", &flags.clean_text));
  GRAFT_RETURN_IF_ERROR(read("handle_chinese_chars", &flags.handle_chinese_chars));
  GRAFT_RETURN_IF_ERROR(read("lowercase", &flags.lowercase));
  flags.strip_accents = flags.lowercase;  // What null means.
  GRAFT_RETURN_IF_ERROR(read("strip_accents", &flags.strip_accents));
  return BertNormalizer(flags);
}

StatusOr<NormalizerPtr> ReadNormalizerAt(const Json& normalizer, int depth) {
  const Json type = TypeOf(normalizer);
  if (type == "BertNormalizer") return ReadBertNormalizer(normalizer);
  if (type == "Lowercase") return LowercaseNormalizer();
  if (type == "NFD") return NfdNormalizer();
  if (type == "StripAccents") return StripAccentsNormalizer();
  if (type != "Sequence" || depth == kMaxDepth) return NotBuilt(kFile, "normalizer", type);
  GRAFT_ASSIGN_OR_RETURN(std::vector<NormalizerPtr> parts,
                         ReadParts<NormalizerPtr>(Field(normalizer, "normalizers"), "normalizer",
                                                  [depth](const Json& part) {
                                                    return ReadNormalizerAt(part, depth + 1);
                                                  }));
  return SequenceNormalizer(std::move(parts));
}

StatusOr<PreTokenizerPtr> ReadPreTokenizerAt(const Json& pre_tokenizer, int depth) {
  const Json type = TypeOf(pre_tokenizer);
  if (type == "BertPreTokenizer") return BertPreTokenizer();
  if (type == "Whitespace") return WhitespacePreTokenizer();
  if (type == "WhitespaceSplit") return WhitespaceSplit();
  if (type == "Punctuation" && (pre_tokenizer.value("behavior", Json("Isolated")) == "Isolated")) {
    return PunctuationPreTokenizer();
  }
  if (type != "Sequence" || depth == kMaxDepth) return NotBuilt(kFile, "pre-tokenizer", type);
  GRAFT_ASSIGN_OR_RETURN(std::vector<PreTokenizerPtr> parts,
                         ReadParts<PreTokenizerPtr>(Field(pre_tokenizer, "pretokenizers"),
                                                    "pre-tokenizer", [depth](const Json& part) {
                                                      return ReadPreTokenizerAt(part, depth + 1);
                                                    }));
  return SequencePreTokenizer(std::move(parts));
}

/// Reads a template in which each of the first `num_texts` texts stands once, and no other.
StatusOr<std::vector<TemplatePiece>> ReadTemplate(const Json& pieces, const Json& special_tokens,
                                                  int num_texts) {
  const Status malformed = Bad(kFile, "the post-processor's template is malformed");
  std::vector<TemplatePiece> result;
  int texts_seen[2] = {0, 0};
  if (!pieces.is_array() || pieces.size() > 64) return malformed;
  for (const Json& piece : pieces) {
    if (!piece.is_object() || piece.size() != 1 || !piece.begin()->is_object()) return malformed;
    const Json& fields = *piece.begin();
    const Json id = Field(fields, "id");
    const Json type_id = fields.value("type_id", Json(0));
    if (!id.is_string()) return malformed;
    if (type_id != 0 && type_id != 1) {
      return Bad(kFile, "a type_id of the post-processor's template isn't 0 or 1");
    }
    TemplatePiece out;
    out.type_id = type_id.get<int32_t>();
    if (piece.contains("Sequence")) {
      if (id != "A" && id != "B") return Bad(kFile, "a template names a text that isn't A or B");
      out.sequence = id == "A" ? 0 : 1;
      ++texts_seen[out.sequence];
      result.push_back(out);
    } else if (piece.contains("SpecialToken")) {
      const auto name = id.get<std::string>();
      const Json special = special_tokens.is_object() ? special_tokens.value(name, Json()) : Json();
      if (!special.is_object()) {
        return Bad(kFile, "a template names an unknown special token, " + Quoted(name));
      }
      const Json ids = Field(special, "ids");
      if (!ids.is_array() || ids.size() > 64) {
        return Bad(kFile, "the special token " + Quoted(name) + " has no ids");
      }
      for (const Json& number : ids) {
        GRAFT_ASSIGN_OR_RETURN(out.id, ReadId(kFile, number, name));
        result.push_back(out);
      }
    } else {
      return malformed;
    }
  }
  if (texts_seen[0] != 1 || texts_seen[1] != num_texts - 1) {
    return Bad(kFile, "the post-processor's template doesn't hold each text once");
  }
  return result;
}

/// Does a line of vocab.txt end in white space other than the end of the line?
bool EndsInSpace(std::string_view line) {
  size_t begin = line.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(line[begin]) & 0xC0U) == 0x80) --begin;
  return unicode::IsWhitespace(unicode::First(line.substr(begin)));
}

bool IsOnlySpace(std::string_view line) {
  for (size_t i = 0, length = 1; i < line.size(); i += length) {
    if (!unicode::IsWhitespace(unicode::First(line.substr(i), &length))) return false;
  }
  return true;
}

}  // namespace

StatusOr<NormalizerPtr> ReadNormalizer(const Json& normalizer) {
  if (normalizer.is_null()) return SequenceNormalizer({});
  return ReadNormalizerAt(normalizer, 0);
}

StatusOr<PreTokenizerPtr> ReadPreTokenizer(const Json& pre_tokenizer) {
  return ReadPreTokenizerAt(pre_tokenizer, 0);
}

StatusOr<WordPieceOptions> ReadWordPiece(const Json& model) {
  // Older files leave the type out; only WordPiece has this prefix.
  const bool word_piece = TypeOf(model) == "WordPiece" ||
                          (model.is_object() && model.contains("continuing_subword_prefix") &&
                           !model.contains("merges") && TypeOf(model).is_null());
  if (!word_piece) return NotBuilt(kFile, "model", TypeOf(model));
  if (!model.contains("vocab") || !model["vocab"].is_object()) {
    return Bad(kFile, "the model has no vocab");
  }
  WordPieceOptions options;
  std::unordered_set<int32_t> taken;
  for (const auto& [token, id] : model["vocab"].items()) {
    GRAFT_ASSIGN_OR_RETURN(const int32_t number, ReadId(kFile, id, token));
    if (!taken.insert(number).second) {
      return Bad(kFile, "the token " + Quoted(token) + " has the id " + std::to_string(number) +
                            ", as another has");
    }
    options.vocabulary[token] = number;
  }
  for (const auto& [name, value] : {std::pair{"unk_token", &options.unk_token},
                                    {"continuing_subword_prefix", &options.prefix}}) {
    const Json text = Field(model, name);
    if (text.is_null()) continue;
    if (!text.is_string()) return Bad(kFile, std::string("the model's ") + name + " isn't a text");
    *value = text.get<std::string>();
  }
  if (const Json limit = Field(model, "max_input_chars_per_word"); !limit.is_null()) {
    if (!limit.is_number_unsigned()) {
      return Bad(kFile, "the model's max_input_chars_per_word isn't a count");
    }
    options.max_word_chars = limit.get<size_t>();
  }
  return options;
}

StatusOr<Templates> ReadTemplates(const Json& post_processor) {
  const Json type = TypeOf(post_processor);
  if (type == "TemplateProcessing") {
    const Json special = post_processor.value("special_tokens", Json::object());
    Templates templates;
    GRAFT_ASSIGN_OR_RETURN(templates.single,
                           ReadTemplate(Field(post_processor, "single"), special, 1));
    GRAFT_ASSIGN_OR_RETURN(templates.pair, ReadTemplate(Field(post_processor, "pair"), special, 2));
    return templates;
  }
  if (type != "BertProcessing") return NotBuilt(kFile, "post-processor", type);
  int32_t ids[2];
  for (const int i : {0, 1}) {
    const char* name = i == 0 ? "cls" : "sep";
    const Json token = Field(post_processor, name);
    if (!token.is_array() || token.size() != 2) {
      return Bad(kFile, std::string("the post-processor has no ") + name);
    }
    GRAFT_ASSIGN_OR_RETURN(ids[i], ReadId(kFile, token[1], name));
  }
  return BertTemplates(ids[0], ids[1]);
}

StatusOr<DecoderPtr> ReadDecoder(const Json& decoder) {
  if (decoder.is_null()) return SpacesDecoder();
  if (TypeOf(decoder) != "WordPiece") return NotBuilt(kFile, "decoder", TypeOf(decoder));
  const Json prefix = decoder.value("prefix", Json("##"));
  if (!prefix.is_string()) return Bad(kFile, "the decoder's prefix isn't a text");
  bool cleanup = true;
  GRAFT_RETURN_IF_ERROR(ReadFlag(kFile, decoder, "cleanup", &cleanup));
  return WordPieceDecoder(prefix.get<std::string>(), cleanup);
}

StatusOr<std::vector<AddedToken>> ReadListedTokens(const Json& added_tokens) {
  if (!added_tokens.is_null() && !added_tokens.is_array()) {
    return Bad(kFile, "added_tokens isn't a list");
  }
  std::vector<AddedToken> tokens;
  for (const Json& json : added_tokens) {
    if (!json.is_object() || !json.contains("id")) {
      return Bad(kFile, "an added token lacks its content or id");
    }
    GRAFT_ASSIGN_OR_RETURN(AddedToken token, ReadToken(kFile, json, TokenDefaults::kAllFalse));
    GRAFT_ASSIGN_OR_RETURN(token.id, ReadId(kFile, json["id"], token.content));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

StatusOr<Vocabulary> ReadVocabTxt(std::string_view text) {
  Vocabulary vocabulary;
  if (const std::string_view stand_in = StandIn(text); !stand_in.empty())
    return InvalidArgumentError("vocab.txt " + std::string(stand_in));
  if (FirstInvalidUtf8(text) != std::string_view::npos) return Bad("vocab.txt", "it isn't UTF-8");
  int32_t id = 0;
  for (size_t from = 0; from < text.size(); ++id) {
    const size_t end = std::min(text.find('\n', from), text.size());
    std::string_view line = text.substr(from, end - from);
    from = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (id > kMaxId) {
      return Bad("vocab.txt", "it has more than " + std::to_string(kMaxId) + " lines");
    }
    if (line.find('\r') != std::string_view::npos ||
        (!line.empty() && EndsInSpace(line) && !IsOnlySpace(line))) {
      return Bad("vocab.txt", "line " + std::to_string(id + 1) + " has white space after " +
                                  Quoted(line) +
                                  ", which versions of transformers read differently; take it "
                                  "away");
    }
    vocabulary[std::string(line)] = id;
  }
  return vocabulary;
}

}  // namespace graft::tokenizers
