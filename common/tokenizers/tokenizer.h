#pragma once
/// Text to token ids and back, equal to HuggingFace's tokenizers for the same folder.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
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
  int max_length = 512;        ///< Tokens, special tokens included; those stay in any case.
  bool special_tokens = true;  ///< Whether those of the template stand around the text.
};

/// A token, and the bytes of the text that it stands for.
struct LocatedToken {
  int32_t id = 0;
  size_t begin = 0, end = 0;
};

struct DecodeOptions {
  bool special_tokens = false;  ///< Whether they become text too.
};

/// A token that has a part to play, such as the one that begins a text.
struct SpecialToken {
  std::string content;
  int32_t id = 0;
};

/// Ids to text as they come. The pieces joined are what Decode gives for all of the ids.
/// Thread safety: confined to one thread.
class DecodeStream {
 public:
  virtual ~DecodeStream() = default;
  /// The text that this id adds for certain: valid UTF-8, empty while a character isn't whole or
  /// depends on what follows.
  virtual std::string Push(int32_t id) = 0;
  /// What was held back. Requires: called once, last.
  virtual std::string Finish() = 0;
};

/// Thread safety: const after creation.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Encodes one text, cut on the side that the folder says, else at the right. Any bytes are safe;
  /// invalid UTF-8 reads as U+FFFD.
  virtual Encoding Encode(std::string_view text, const EncodeOptions& options) const = 0;
  /// Encodes a pair, the longer text cut first (the reference's LongestFirst).
  virtual Encoding EncodePair(std::string_view a, std::string_view b,
                              const EncodeOptions& options) const = 0;
  /// Encodes one text, uncut and without special tokens around it, and tells where each token
  /// stands. Those that share a character may be told apart by bytes; one that stands for a
  /// character that the vocabulary lacks has at least that character.
  /// Errors: Unimplemented if the tokenizer rewrites the text in a way that can't be followed, as
  /// BERT's do.
  virtual StatusOr<std::vector<LocatedToken>> Locate(std::string_view text) const = 0;
  /// The text of these ids. Ids that no token has are left out.
  virtual std::string Decode(const std::vector<int32_t>& ids,
                             const DecodeOptions& options) const = 0;
  /// The bytes of a token that isn't whole characters by itself, as one of several that spell an
  /// emoji; nothing of all others.
  virtual std::optional<std::string> PartOfCharacters(int32_t id) const = 0;
  /// The result doesn't outlive the tokenizer.
  virtual std::unique_ptr<DecodeStream> StartDecode(const DecodeOptions& options) const = 0;
  /// The token that the folder, or its class, calls `name`: "bos_token", "eos_token", "pad_token"
  /// and so on; nothing if there is none.
  virtual std::optional<SpecialToken> Special(const std::string& name) const = 0;
  virtual int32_t vocab_size() const = 0;              ///< Largest id + 1, added tokens included.
  virtual const std::string& fingerprint() const = 0;  ///< SHA-256 over all that changes an id.
  /// Every token with its id, added tokens included.
  virtual std::map<std::string, int32_t> Tokens() const = 0;
};

/// The files of a folder that can change a token, by name. Files of other names are left aside.
using TokenizerFiles = std::map<std::string, std::string>;

/// Reads those of a HuggingFace folder's files that can change a token.
/// Errors: Internal, PermissionDenied or InvalidArgument if one is there and can't be read.
StatusOr<TokenizerFiles> ReadTokenizerFiles(const std::filesystem::path& folder);

/// Makes the tokenizer of a folder's files: tokenizer.json's, else vocab.txt's (WordPiece).
/// Truncation and padding stored in the files are ignored.
/// Errors: NotFound if neither is there; InvalidArgument if it is malformed, two tokens have one id
/// or a template doesn't hold each text once; Unimplemented for a component that isn't built,
/// naming it.
StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const TokenizerFiles& files);
StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::filesystem::path& folder);

/// `base`'s files with what an adapter's folder says of its tokenizer put over them: its own
/// vocabulary if it has one, else only those of its settings that it has. What is in no file of
/// `own` is the base's, so LoadTokenizer of this differs from the base's where `own` says so.
TokenizerFiles OverlaidFiles(const TokenizerFiles& base, const TokenizerFiles& own);

/// A difference between two tokenizers that changes ids, as part of a sentence that names a token
/// (`"ship" is 2031 in one and 97 in the other`); nothing if every text has the same ids in both.
std::optional<std::string> FirstDifference(const Tokenizer& a, const Tokenizer& b);

}  // namespace graft::tokenizers
