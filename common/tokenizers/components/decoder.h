#pragma once
/// The way back: tokens to text, a token at a time.
/// Source: huggingface/tokenizers, decoders/.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"

namespace graft::tokenizers {

/// Takes a piece of text, which lives only as long as the call.
using TextSink = std::function<void(std::string_view text)>;

/// A decoder at work on one sequence of tokens. Thread safety: confined to one thread.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  /// Takes the next token, and gives to `sink` what is settled by now: whole characters.
  /// Requires: valid UTF-8.
  virtual void Push(std::string_view token, const TextSink& sink) = 0;
  /// No more come: gives what was held back.
  virtual void Finish(const TextSink&) {}
};

/// Thread safety: const.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// The result doesn't outlive the decoder.
  virtual std::unique_ptr<DecodeStage> Start() const = 0;
  /// The bytes that this token spells, where tokens spell bytes; else nothing.
  /// Requires: valid UTF-8.
  virtual std::optional<std::string> BytesOf(std::string_view token) const = 0;
  /// What it does: two that differ here differ in some text.
  virtual Json Form() const = 0;
};
using DecoderPtr = std::unique_ptr<const Decoder>;

/// Joins pieces that begin with `prefix` to what is before them and puts a space before others;
/// `cleanup` takes the space before punctuation and English contractions away.
DecoderPtr WordPieceDecoder(std::string prefix, bool cleanup);

/// Puts a space between any two tokens.
DecoderPtr SpacesDecoder();

/// Tokens spell bytes (unicode/byte_alphabet.h); one with another character in it is its own text.
/// Bytes that aren't UTF-8 become U+FFFD.
DecoderPtr ByteLevelDecoder();

/// Runs of <0x00> to <0xFF> are bytes: text if all of a run is UTF-8, else U+FFFD for each of it.
DecoderPtr ByteFallbackDecoder();

/// Puts `to` in place of each `from` within a token. Requires: `from` isn't empty.
DecoderPtr ReplaceDecoder(std::string from, std::string to);

/// Spaces in place of marks; in the first token nothing, if one was put there by a pre-tokenizer.
DecoderPtr MetaspaceDecoder(std::string mark, bool prepends);

/// Where `character` is taken away, up to `count` times.
enum class StripFrom { kEachToken, kText };
DecoderPtr StripDecoder(std::string character, size_t count, StripFrom from);

/// Each takes what the one before it gives; none passes tokens on as they are.
DecoderPtr SequenceDecoder(std::vector<DecoderPtr> parts);

}  // namespace graft::tokenizers
