#pragma once
/// The second stage of a tokenizer: cuts normalized text into words.
/// Source: huggingface/tokenizers, pre_tokenizers/.

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/json.h"

namespace graft::tokenizers {

/// Takes one word, which lives only as long as the call; returns false to get no more.
using WordSink = std::function<bool(std::string_view word)>;

/// Thread safety: const.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Gives the words of `text` to `sink`, in order and none empty; false if the sink ended it.
  /// Requires: valid UTF-8.
  virtual bool Split(std::string_view text, const WordSink& sink) const = 0;
  /// What it does, for the tokenizer's fingerprint; null for BertPreTokenizer, which there has been
  /// from the start.
  virtual Json Form() const = 0;
};
using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

PreTokenizerPtr BertPreTokenizer();         ///< White space separates, punctuation stands alone.
PreTokenizerPtr WhitespaceSplit();          ///< White space separates.
PreTokenizerPtr WhitespacePreTokenizer();   ///< Runs of word characters, and runs of other ones.
PreTokenizerPtr PunctuationPreTokenizer();  ///< Punctuation stands alone; white space stays.
PreTokenizerPtr SequencePreTokenizer(std::vector<PreTokenizerPtr> parts);

}  // namespace graft::tokenizers
