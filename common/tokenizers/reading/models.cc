#include <utility>

#include "common/base/utf8.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"

namespace graft::tokenizers {
namespace {

/// Whether older files, which leave the type out, mean this one: of models with both a vocabulary
/// and merges there is one, and of those with the prefix of continuing pieces another.
bool Means(const Json& model, const char* type) {
  const Json stated = TypeOf(model);
  if (!stated.is_null() || !model.is_object()) return stated == type;
  if (model.contains("merges")) return std::string_view(type) == "BPE";
  return std::string_view(type) == "WordPiece" && model.contains("continuing_subword_prefix");
}

Status CheckUnbuilt(const Json& model) {
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json text = Field(model, name);
    if (text.is_null() || text == "") continue;
    return NotBuilt(kTokenizerJson, std::string("model BPE with the ") + name, text);
  }
  const Json dropout = Field(model, "dropout");
  if (dropout.is_null() || dropout == 0) return OkStatus();
  return NotBuilt(kTokenizerJson, "model BPE with the dropout", dropout);
}

Status Malformed(size_t number) {
  return Bad(kTokenizerJson, "merge " + std::to_string(number) +
                                 " of the model isn't two tokens, nor a text with one space");
}

/// Pairs, or as older files have them texts with a space between the two tokens.
StatusOr<std::vector<std::pair<std::string, std::string>>> ReadMerges(const Json& model) {
  const auto merges = model.find("merges");
  if (merges == model.end() || !merges->is_array()) {
    return Bad(kTokenizerJson, "the model has no merges");
  }
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(merges->size());
  size_t number = 0;
  for (const Json& merge : *merges) {
    ++number;
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      out.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    if (!merge.is_string()) return Malformed(number);
    const auto& text = merge.get_ref<const std::string&>();
    if (text.starts_with("#version")) continue;
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      return Malformed(number);
    }
    out.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return out;
}

}  // namespace

StatusOr<BpeOptions> ReadBpe(const Json& model) {
  GRAFT_RETURN_IF_ERROR(CheckUnbuilt(model));
  BpeOptions options;
  GRAFT_ASSIGN_OR_RETURN(options.vocabulary, ReadVocab(model));
  GRAFT_ASSIGN_OR_RETURN(options.merges, ReadMerges(model));
  if (const Json unk = Field(model, "unk_token"); unk.is_string()) {
    options.units.unk_token = unk.get<std::string>();
  } else if (!unk.is_null()) {
    return Bad(kTokenizerJson, "the model's unk_token isn't a text");
  }
  const auto read = [&](const char* name, bool* flag) {
    return ReadFlag(kTokenizerJson, model, name, flag);
  };
  GRAFT_RETURN_IF_ERROR(read("fuse_unk", &options.units.fuse_unk));
  GRAFT_RETURN_IF_ERROR(read("byte_fallback", &options.units.byte_fallback));
  GRAFT_RETURN_IF_ERROR(read("ignore_merges", &options.ignore_merges));
  return options;
}

bool IsWordPiece(const Json& model) { return Means(model, "WordPiece"); }

StatusOr<ModelOptions> ReadModel(const Json& model, bool byte_level) {
  if (Means(model, "BPE")) {
    GRAFT_ASSIGN_OR_RETURN(BpeOptions options, ReadBpe(model));
    options.units.byte_level = byte_level;
    return ModelOptions(std::move(options));
  }
  if (!IsWordPiece(model)) return NotBuilt(kTokenizerJson, "model", TypeOf(model));
  if (byte_level) {
    return NotBuilt(kTokenizerJson, "pre-tokenizer ByteLevel before the model", "WordPiece");
  }
  GRAFT_ASSIGN_OR_RETURN(WordPieceOptions options, ReadWordPiece(model));
  return ModelOptions(std::move(options));
}

}  // namespace graft::tokenizers
