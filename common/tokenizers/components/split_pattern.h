#pragma once
/// The regular expressions that byte-level tokenizers cut texts with. Each is written out here by
/// hand, since all that is in use are few and no engine of ours knows \p{L} and look-ahead.
/// Source: huggingface/tokenizers, pre_tokenizers/byte_level.rs and split.rs, which run them in
/// Oniguruma; the first match at a place counts, alternatives are tried in their order.

#include <cstddef>
#include <optional>
#include <string_view>

namespace graft::tokenizers {

enum class SplitPattern {
  /// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  kGpt2,
  /// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
  /// \s*[\r\n]+|\s+(?!\S)|\s+
  kLlama3,
  /// The same with \p{N} for \p{N}{1,3}.
  kQwen2
};

/// The pattern of this regular expression, nothing if it is none of them.
std::optional<SplitPattern> KnownPattern(std::string_view regex);
std::string_view RegexOf(SplitPattern pattern);

/// Where the match that begins at `at` ends. Each matches at every place, so that matches cover a
/// text; all of them together take time that is linear in it.
/// Requires: valid UTF-8; a character begins at `at`.
size_t MatchEnd(SplitPattern pattern, std::string_view text, size_t at);

}  // namespace graft::tokenizers
