#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/tokenizers/reading/parts.h"
#include "common/tokenizers/reading/stages.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

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

StatusOr<WordPieceOptions> ReadWordPiece(const Json& model) {
  WordPieceOptions options;
  GRAFT_ASSIGN_OR_RETURN(options.vocabulary, ReadVocab(model));
  for (const auto& [name, value] : {std::pair{"unk_token", &options.unk_token},
                                    {"continuing_subword_prefix", &options.prefix}}) {
    const Json text = Field(model, name);
    if (text.is_null()) continue;
    if (!text.is_string())
      return Bad(kTokenizerJson, std::string("the model's ") + name + " isn't a text");
    *value = text.get<std::string>();
  }
  if (const Json limit = Field(model, "max_input_chars_per_word"); !limit.is_null()) {
    if (!limit.is_number_unsigned()) {
      return Bad(kTokenizerJson, "the model's max_input_chars_per_word isn't a count");
    }
    options.max_word_chars = limit.get<size_t>();
  }
  return options;
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
