#pragma once
/// BERT's tokenizer: BertNormalizer, BertPreTokenizer, WordPiece, a template of special tokens.
/// Source: huggingface/tokenizers, normalizers/bert.rs, pre_tokenizers/bert.rs, models/wordpiece,
/// added_vocabulary.rs.

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false, lstrip = false, rstrip = false;
  bool normalized = false;  ///< Matched in normalized text rather than in the text as given.
};

struct BertNormalizerFlags {
  bool clean_text = true, handle_chinese_chars = true, strip_accents = true, lowercase = true;
};

/// One piece of the template: a special token, or one of the texts.
struct TemplatePiece {
  int sequence = -1;  ///< 0 or 1: a text; -1: the special token `id`.
  int32_t id = 0;
  int32_t type_id = 0;
};

struct WordPieceOptions {
  std::unordered_map<std::string, int32_t> vocab;
  std::string unk_token = "[UNK]";
  std::string prefix = "##";
  size_t max_word_chars = 100;
  BertNormalizerFlags normalizer;
  std::vector<AddedToken> added_tokens;
  std::vector<TemplatePiece> single, pair;
};

class WordPieceTokenizer : public Tokenizer {
 public:
  /// Errors: InvalidArgument if the vocabulary lacks the unknown token or is empty.
  static StatusOr<std::shared_ptr<const Tokenizer>> Create(WordPieceOptions options);

  Encoding Encode(std::string_view text, const EncodeOptions& options) const override;
  Encoding EncodePair(std::string_view a, std::string_view b,
                      const EncodeOptions& options) const override;
  int32_t vocab_size() const override { return vocab_size_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  std::map<std::string, int32_t> Tokens() const override;

 private:
  explicit WordPieceTokenizer(WordPieceOptions options);
  /// Ids of a text without special tokens around it. Stops early once `limit` ids are there.
  std::vector<int32_t> Ids(std::string_view text, size_t limit) const;
  void AppendPiece(std::string_view piece, size_t limit, std::vector<int32_t>& ids) const;
  void AppendWord(std::string_view word, size_t chars, std::vector<int32_t>& ids) const;
  std::string Normalize(std::string_view text) const;
  void AppendNormalized(std::string_view text, size_t limit, std::vector<int32_t>& ids) const;
  Encoding Assemble(const std::vector<TemplatePiece>& pieces, std::vector<int32_t> a,
                    std::vector<int32_t> b) const;

  WordPieceOptions options_;
  std::vector<AddedToken> raw_tokens_, normalized_tokens_;
  int32_t unk_id_ = 0;
  int32_t vocab_size_ = 0;
  size_t max_token_bytes_ = 0;
  std::string fingerprint_;
};

}  // namespace graft::tokenizers
