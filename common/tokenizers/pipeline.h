#pragma once
/// A tokenizer of five stages: normalizer, pre-tokenizer, model, post-processor, decoder; added
/// tokens are found before the first and once more after it.
/// Source: huggingface/tokenizers, tokenizer/mod.rs.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/decoder.h"
#include "common/tokenizers/components/model.h"
#include "common/tokenizers/components/normalizer.h"
#include "common/tokenizers/components/post_processor.h"
#include "common/tokenizers/components/pre_tokenizer.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

struct Stages {
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  ModelPtr model;
  PostProcessorPtr post_processor;
  DecoderPtr decoder;
  std::vector<AddedToken> added_tokens;                     ///< In the order of their file.
  std::map<std::string, SpecialToken> special_tokens = {};  ///< By what they are called.
  bool split_special_tokens = false;  ///< A special token in a text is text like any other.
  bool truncate_left = false;         ///< Long texts lose their beginning.
  bool gives_types = true;            ///< Else no model is given type ids: all are 0.
};

class Pipeline : public Tokenizer {
 public:
  /// Requires: every stage is there; each added token's id is the model's for its content, or no
  /// one else's.
  /// Errors: InvalidArgument if added tokens can't be told apart in a text or are too long
  /// together, naming one.
  static StatusOr<std::shared_ptr<const Tokenizer>> Create(Stages stages);

  Encoding Encode(std::string_view text, const EncodeOptions& options) const override;
  Encoding EncodePair(std::string_view a, std::string_view b,
                      const EncodeOptions& options) const override;
  StatusOr<std::vector<LocatedToken>> Locate(std::string_view text) const override;
  std::string Decode(const std::vector<int32_t>& ids, const DecodeOptions& options) const override;
  std::optional<std::string> PartOfCharacters(int32_t id) const override;
  std::unique_ptr<DecodeStream> StartDecode(const DecodeOptions& options) const override;
  std::optional<SpecialToken> Special(const std::string& name) const override;
  int32_t vocab_size() const override { return vocab_size_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  std::map<std::string, int32_t> Tokens() const override;

  const Stages& stages() const { return stages_; }
  /// The token of an id; nothing if none has it, or it is special and `options` leave it out.
  std::optional<std::string_view> Token(int32_t id, const DecodeOptions& options) const;

 private:
  Pipeline(Stages stages, std::vector<AddedToken> raw, std::vector<AddedToken> normalized);
  /// Ids of a text without special tokens around it. May stop early once `limit` ids are there.
  std::vector<int32_t> Ids(std::string_view text, size_t limit) const;
  /// `at_start`: nothing stands before the piece.
  void AppendPiece(std::string_view piece, bool at_start, size_t limit,
                   std::vector<int32_t>& ids) const;
  /// Appends the tokens of a piece between added tokens, whose first byte is `offset` in the text.
  Status LocatePiece(std::string_view piece, size_t offset, bool at_start,
                     std::vector<LocatedToken>& located) const;
  /// Leaves `count` ids, on the side that isn't cut.
  void Truncate(size_t count, std::vector<int32_t>& ids) const;
  std::string Fingerprint() const;

  const Stages stages_;
  const AddedTokenSplitter raw_tokens_, normalized_tokens_;
  int32_t vocab_size_ = 0;
  std::vector<std::string_view> tokens_;  ///< By id; empty where there is none.
  std::vector<bool> special_;             ///< By id.
  std::string fingerprint_;
};

}  // namespace graft::tokenizers
