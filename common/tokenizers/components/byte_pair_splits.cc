/// The pre-tokenizers of byte pair encoding.
#include <algorithm>
#include <utility>

#include "common/tokenizers/components/pre_tokenizer.h"
#include "common/tokenizers/components/replaced.h"

namespace graft::tokenizers {
namespace {

bool SplitByPattern(SplitPattern pattern, std::string_view text, const WordSink& sink) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = MatchEnd(pattern, text, at);
    if (!sink(text.substr(at, end - at))) return false;
    at = end;
  }
  return true;
}

class Whole : public PreTokenizer {
 public:
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return text.empty() || sink(text);
  }
  Json Form() const override { return {{"type", "Whole"}}; }
};

class ByPattern : public PreTokenizer {
 public:
  explicit ByPattern(SplitPattern pattern) : pattern_(pattern) {}
  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    return SplitByPattern(pattern_, text, sink);
  }
  Json Form() const override { return {{"type", "Split"}, {"pattern", RegexOf(pattern_)}}; }

 private:
  const SplitPattern pattern_;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_pattern)
      : add_prefix_space_(add_prefix_space), use_pattern_(use_pattern) {}

  bool Split(std::string_view text, bool, const WordSink& sink) const override {
    if (text.empty()) return true;
    std::string with_space;
    if (add_prefix_space_ && text[0] != ' ') {
      with_space = " " + std::string(text);
      text = with_space;
    }
    return use_pattern_ ? SplitByPattern(SplitPattern::kGpt2, text, sink) : sink(text);
  }
  Json Form() const override {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space_},
            {"use_regex", use_pattern_}};
  }

 private:
  const bool add_prefix_space_, use_pattern_;
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string mark, PrependScheme scheme, bool split)
      : mark_(std::move(mark)), scheme_(scheme), split_(split) {}

  bool Split(std::string_view text, bool at_start, const WordSink& sink) const override {
    if (text.empty()) return true;
    std::string marked = Replaced(text, " ", mark_);
    const bool prepends =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && at_start);
    if (prepends && !marked.starts_with(mark_)) marked.insert(0, mark_);
    if (!split_) return sink(marked);
    const std::string_view all = marked;
    for (size_t at = 0; at < all.size();) {
      const size_t end = std::min(all.find(mark_, at + 1), all.size());
      if (!sink(all.substr(at, end - at))) return false;
      at = end;
    }
    return true;
  }
  Json Form() const override {
    return {{"type", "Metaspace"},
            {"replacement", mark_},
            {"prepend_scheme", static_cast<int>(scheme_)},
            {"split", split_}};
  }

 private:
  const std::string mark_;
  const PrependScheme scheme_;
  const bool split_;
};

}  // namespace

PreTokenizerPtr WholeText() { return std::make_unique<Whole>(); }
PreTokenizerPtr PatternSplit(SplitPattern pattern) { return std::make_unique<ByPattern>(pattern); }
PreTokenizerPtr ByteLevelPreTokenizer(bool add_prefix_space, bool use_pattern) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_pattern);
}
PreTokenizerPtr MetaspacePreTokenizer(std::string mark, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(std::move(mark), scheme, split);
}

}  // namespace graft::tokenizers
