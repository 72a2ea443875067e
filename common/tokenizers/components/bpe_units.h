#pragma once
/// What byte pair encoding begins with: a word's characters or bytes as tokens.
/// Source: huggingface/tokenizers, models/bpe/model.rs, merge_word.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizers/components/model.h"
#include "common/tokenizers/matching/word_table.h"

namespace graft::tokenizers {

struct BpeUnitOptions {
  std::optional<std::string> unk_token = {};  ///< Without one what is unknown is left out.
  bool fuse_unk = false;                      ///< Unknown tokens side by side are one.
  bool byte_fallback = false;  ///< An unknown character is its bytes' tokens, <0x00> to <0xFF>.
  /// Words are any bytes, and tokens spell bytes (unicode/byte_alphabet.h): what the reference's
  /// ByteLevel pre-tokenizer makes of a word in the end.
  bool byte_level = false;
};

/// Thread safety: const.
class BpeUnits {
 public:
  BpeUnits(BpeUnitOptions options, const Vocabulary& vocabulary);

  /// Appends the ids of the text's characters, or bytes.
  /// Requires: valid UTF-8, unless they are bytes.
  void Append(std::string_view text, std::vector<int32_t>& ids) const;

  /// Whether this character is a token.
  bool Knows(std::string_view character) const;
  /// Whether there can be characters that neither tokens of their own nor of their bytes stand for.
  bool can_be_unknown() const;
  /// Nothing if there is none, or the vocabulary lacks it.
  std::optional<int32_t> unk_id() const;
  const BpeUnitOptions& options() const { return options_; }

 private:
  void AppendUnknown(std::string_view spelled, bool* is_pending, std::vector<int32_t>& ids) const;

  const BpeUnitOptions options_;
  std::array<int32_t, 256> byte_tokens_ = {}, bytes_ = {};  ///< <0x00> and so on; spelled ones.
  WordTable characters_;
  int32_t unk_id_ = WordTable::kNone;
};

}  // namespace graft::tokenizers
