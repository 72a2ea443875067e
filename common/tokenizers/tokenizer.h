#pragma once
/// Text to token ids, equal to HuggingFace's tokenizers for the same tokenizer.json.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::tokenizers {

struct Encoding {
  std::vector<int32_t> ids;       ///< Special tokens included.
  std::vector<int32_t> type_ids;  ///< The same length: 0 for the first text, 1 for the second.
  bool truncated = false;         ///< Tokens were cut off.
};

struct EncodeOptions {
  int max_length = 512;  ///< Tokens, special tokens included; those stay in any case.
};

/// Thread safety: const after creation.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Encodes one text, cut at the right. Any bytes are safe; invalid UTF-8 reads as U+FFFD.
  virtual Encoding Encode(std::string_view text, const EncodeOptions& options) const = 0;
  /// Encodes a pair, the longer text cut first (the reference's LongestFirst).
  virtual Encoding EncodePair(std::string_view a, std::string_view b,
                              const EncodeOptions& options) const = 0;
  virtual int32_t vocab_size() const = 0;              ///< Largest id + 1, added tokens included.
  virtual const std::string& fingerprint() const = 0;  ///< SHA-256 over all that changes an id.
};

/// Reads a HuggingFace folder's tokenizer.json, else its vocab.txt (WordPiece). Truncation and
/// padding stored in the file are ignored.
/// Errors: NotFound if neither is there; InvalidArgument if it is malformed, two tokens have one id
/// or a template doesn't hold each text once; Unimplemented for a component that isn't built,
/// naming it.
StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::filesystem::path& folder);

}  // namespace graft::tokenizers
