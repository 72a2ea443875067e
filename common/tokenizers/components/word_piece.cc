#include "common/tokenizers/components/word_piece.h"

#include <algorithm>
#include <map>

#include "common/base/utf8.h"
#include "common/tokenizers/matching/word_pieces.h"

namespace graft::tokenizers {
namespace {

class WordPieceModel : public Model {
 public:
  explicit WordPieceModel(WordPieceOptions options)
      : options_(std::move(options)),
        unk_id_(options_.vocabulary.at(options_.unk_token)),
        pieces_(First(options_), Rest(options_)) {}

  void Append(std::string_view word, std::vector<int32_t>& ids) const override {
    if (IsTooLong(word) || !pieces_.Cut(word, ids)) ids.push_back(unk_id_);
  }
  const Vocabulary& vocabulary() const override { return options_.vocabulary; }
  Json Form() const override {
    const Vocabulary& vocabulary = options_.vocabulary;
    return {{"type", "WordPiece"},
            {"vocab", std::map<std::string, int32_t>(vocabulary.begin(), vocabulary.end())},
            {"unk", options_.unk_token},
            {"prefix", options_.prefix},
            {"max_word_chars", options_.max_word_chars}};
  }

 private:
  static std::vector<WordPieces::Piece> First(const WordPieceOptions& options) {
    return {options.vocabulary.begin(), options.vocabulary.end()};
  }
  static std::vector<WordPieces::Piece> Rest(const WordPieceOptions& options) {
    std::vector<WordPieces::Piece> rest;
    for (const auto& [token, id] : options.vocabulary) {
      if (!token.starts_with(options.prefix)) continue;
      rest.emplace_back(std::string_view(token).substr(options.prefix.size()), id);
    }
    return rest;
  }
  bool IsTooLong(std::string_view word) const {
    if (word.size() <= options_.max_word_chars) return false;
    const auto chars = std::count_if(word.begin(), word.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
    });
    return static_cast<size_t>(chars) > options_.max_word_chars;
  }

  const WordPieceOptions options_;
  const int32_t unk_id_;
  const WordPieces pieces_;
};

}  // namespace

StatusOr<ModelPtr> WordPiece(WordPieceOptions options) {
  if (!options.vocabulary.contains(options.unk_token)) {
    return InvalidArgumentError("the vocabulary lacks its unknown token " +
                                Quoted(options.unk_token));
  }
  if (options.max_word_chars > WordPieceOptions::kMaxWordChars) {
    return InvalidArgumentError("max_input_chars_per_word is " +
                                std::to_string(options.max_word_chars) + ", graft reads at most " +
                                std::to_string(WordPieceOptions::kMaxWordChars));
  }
  size_t bytes = 0;
  for (const auto& [token, id] : options.vocabulary) bytes += token.size();
  if (bytes > ByteTrie::kMaxBytes / 2) {
    return InvalidArgumentError("the vocabulary's tokens have " + std::to_string(bytes) +
                                " bytes together, graft reads at most " +
                                std::to_string(ByteTrie::kMaxBytes / 2));
  }
  return ModelPtr(std::make_unique<WordPieceModel>(std::move(options)));
}

}  // namespace graft::tokenizers
