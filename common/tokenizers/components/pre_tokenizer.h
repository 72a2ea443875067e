#pragma once
/// The second stage of a tokenizer: cuts normalized text into words.
/// Source: huggingface/tokenizers, pre_tokenizers/.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/json.h"
#include "common/tokenizers/components/split_pattern.h"

namespace graft::tokenizers {

/// Takes one word, which lives only as long as the call; returns false to get no more.
using WordSink = std::function<bool(std::string_view word)>;

/// Thread safety: const.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Gives the words of `text` to `sink`, in order and none empty; false if the sink ended it.
  /// `at_start`: nothing stands before `text` in the whole text.
  /// Requires: valid UTF-8.
  virtual bool Split(std::string_view text, bool at_start, const WordSink& sink) const = 0;
  /// What it does, for the tokenizer's fingerprint; null for BertPreTokenizer, which there has been
  /// from the start.
  virtual Json Form() const = 0;
};
using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

PreTokenizerPtr BertPreTokenizer();         ///< White space separates, punctuation stands alone.
PreTokenizerPtr WhitespaceSplit();          ///< White space separates.
PreTokenizerPtr WhitespacePreTokenizer();   ///< Runs of word characters, and runs of other ones.
PreTokenizerPtr PunctuationPreTokenizer();  ///< Punctuation stands alone; white space stays.
PreTokenizerPtr WholeText();                ///< Is one word.
PreTokenizerPtr PatternSplit(SplitPattern pattern);
/// Each number's character is a word, or each run of them.
PreTokenizerPtr DigitsPreTokenizer(bool individual);
/// Puts a space in front of what begins with none, if it is asked to. That words are spelled in
/// the alphabet of bytes then is left to the model.
PreTokenizerPtr ByteLevelPreTokenizer(bool add_prefix_space, bool use_pattern);

/// Where Metaspace puts a mark in front of what begins with none.
enum class PrependScheme { kAlways, kFirst /** Only at the very start. */, kNever };
/// Puts marks, which are `mark`, in place of spaces; `split`: each begins a word.
PreTokenizerPtr MetaspacePreTokenizer(std::string mark, PrependScheme scheme, bool split);

/// Each cuts the words of the one before it. Only the first learns what stands at the start.
PreTokenizerPtr SequencePreTokenizer(std::vector<PreTokenizerPtr> parts);

}  // namespace graft::tokenizers
