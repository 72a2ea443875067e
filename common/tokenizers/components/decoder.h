#pragma once
/// The way back: tokens to text.
/// Source: huggingface/tokenizers, decoders/wordpiece.rs.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace graft::tokenizers {

/// Thread safety: const.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::string Decode(const std::vector<std::string_view>& tokens) const = 0;
};
using DecoderPtr = std::unique_ptr<const Decoder>;

/// Joins pieces that begin with `prefix` to what is before them and puts a space before others;
/// `cleanup` takes the space before punctuation and English contractions away.
DecoderPtr WordPieceDecoder(std::string prefix, bool cleanup);

/// Puts a space between any two tokens.
DecoderPtr SpacesDecoder();

}  // namespace graft::tokenizers
