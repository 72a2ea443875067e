#include "common/tokenizers/components/split_pattern.h"

#include "common/tokenizers/unicode/char_class.h"

namespace graft::tokenizers {
namespace {

using unicode::CharAt;
using unicode::CharClass;
using unicode::ValidChar;

constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr SplitPattern kPatterns[] = {SplitPattern::kGpt2, SplitPattern::kLlama3,
                                      SplitPattern::kQwen2};

bool IsNewline(uint32_t code) { return code == '\r' || code == '\n'; }

/// A text and what its characters are to a pattern.
class Matcher {
 public:
  explicit Matcher(std::string_view text) : text_(text) {}

  size_t Gpt2(size_t at) const {
    if (const size_t end = Contraction(at, false); end > at) return end;
    const size_t behind = text_[at] == ' ' ? at + 1 : at;
    if (behind < text_.size()) {
      const CharClass kind = KindAt(behind);
      if (kind != CharClass::kSpace) return RunEnd(behind, kind);
    }
    return SpacesEnd(at, RunEnd(at, CharClass::kSpace));
  }

  size_t Llama3(size_t at, int max_digits) const {
    if (const size_t end = Contraction(at, true); end > at) return end;
    const ValidChar first = CharAt(text_, at);
    const CharClass kind = classes_[first.code];
    if (kind == CharClass::kLetter) return RunEnd(at, kind);
    const size_t behind = at + first.length;
    if (kind == CharClass::kNumber) return DigitsEnd(behind, max_digits - 1);
    const bool has_next = behind < text_.size();
    if (has_next && !IsNewline(first.code) && KindAt(behind) == CharClass::kLetter) {
      return RunEnd(behind, CharClass::kLetter);
    }
    const bool leads = first.code == ' ' && has_next && KindAt(behind) == CharClass::kOther;
    if (kind == CharClass::kOther || leads) {
      size_t end = RunEnd(behind, CharClass::kOther);
      while (end < text_.size() && IsNewline(static_cast<unsigned char>(text_[end]))) ++end;
      return end;
    }
    const size_t end = RunEnd(at, CharClass::kSpace);
    const size_t newline = text_.substr(at, end - at).find_last_of("\r\n");
    if (newline != std::string_view::npos) return at + newline + 1;
    return SpacesEnd(at, end);
  }

 private:
  CharClass KindAt(size_t at) const { return classes_[CharAt(text_, at).code]; }

  size_t RunEnd(size_t at, CharClass kind) const {
    while (at < text_.size()) {
      const ValidChar next = CharAt(text_, at);
      if (classes_[next.code] != kind) break;
      at += next.length;
    }
    return at;
  }

  size_t DigitsEnd(size_t at, int count) const {
    for (; count > 0 && at < text_.size(); --count) {
      const ValidChar next = CharAt(text_, at);
      if (classes_[next.code] != CharClass::kNumber) break;
      at += next.length;
    }
    return at;
  }

  /// \s+(?!\S)|\s+ over a run of white space: its last character goes to what follows the run,
  /// unless it is the only one.
  size_t SpacesEnd(size_t at, size_t end) const {
    if (end == text_.size()) return end;
    size_t last = end - 1;
    while ((static_cast<unsigned char>(text_[last]) & 0xC0U) == 0x80) --last;
    return last > at ? last : end;
  }

  /// The end of 's, 't, 're, 've, 'm, 'll or 'd; `at` if there is none.
  size_t Contraction(size_t at, bool any_case) const {
    if (text_[at] != '\'') return at;
    const std::string_view rest = text_.substr(at + 1);
    const auto letter = [&](size_t k) {
      const char c = k < rest.size() ? rest[k] : '\0';
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    };
    switch (letter(0)) {
      case 's':
      case 't':
      case 'm':
      case 'd':
        return at + 2;
      case 'r':
      case 'v':
        return letter(1) == 'e' ? at + 3 : at;
      case 'l':
        return letter(1) == 'l' ? at + 3 : at;
      default:
        // The long s, which is a small s where case doesn't matter.
        return any_case && rest.starts_with("\u017f") ? at + 3 : at;
    }
  }

  const std::string_view text_;
  const unicode::CharClasses& classes_ = unicode::CharClasses::Get();
};

}  // namespace

std::string_view RegexOf(SplitPattern pattern) {
  switch (pattern) {
    case SplitPattern::kGpt2:
      return kGpt2Regex;
    case SplitPattern::kLlama3:
      return kLlama3Regex;
    case SplitPattern::kQwen2:
      return kQwen2Regex;
  }
  return "";
}

std::optional<SplitPattern> KnownPattern(std::string_view regex) {
  for (const SplitPattern pattern : kPatterns) {
    if (regex == RegexOf(pattern)) return pattern;
  }
  return std::nullopt;
}

size_t MatchEnd(SplitPattern pattern, std::string_view text, size_t at) {
  const Matcher matcher(text);
  if (pattern == SplitPattern::kGpt2) return matcher.Gpt2(at);
  return matcher.Llama3(at, pattern == SplitPattern::kLlama3 ? 3 : 1);
}

}  // namespace graft::tokenizers
