/// Where tokens stand in their text: what a pipeline's ids say, laid beside the text again.
#include <algorithm>
#include <optional>

#include "common/tokenizers/pipeline.h"
#include "common/tokenizers/unicode/byte_alphabet.h"
#include "common/tokenizers/unicode/normal_forms.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

/// Bytes of characters without a token that may stand in front of one that is looked for.
constexpr size_t kMostSkipped = 256;

/// What SentencePiece writes for a space.
constexpr std::string_view kMark = "\u2581";

size_t CharacterLength(std::string_view text, size_t at) {
  size_t length = 1;
  unicode::First(text.substr(at), &length);
  return std::max<size_t>(length, 1);
}

/// The byte that a token like <0x0A> stands for.
std::optional<char> FallbackByte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (c < 'A' || c > 'F')) return std::nullopt;
    value = value * 16 + (is_digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<char>(value);
}

/// Lays one token behind another beside a text that is normalized.
class Aligner {
 public:
  struct Span {
    size_t begin = 0, end = 0;
  };
  explicit Aligner(std::string_view text) : text_(text) {}

  Span Next(std::string_view token) {
    const std::optional<std::string> bytes = unicode::SpelledBytes(token);
    const std::optional<char> fallback = FallbackByte(token);
    const std::string_view byte(fallback ? &*fallback : nullptr, fallback ? 1 : 0);
    std::optional<Span> found;
    if (bytes) found = Match(*bytes, false);
    if (!found) found = Match(token, false);
    if (!found && fallback) found = Match(byte, false);
    // A space in front that the text has not.
    if (!found && bytes && bytes->starts_with(' '))
      found = Match(std::string_view(*bytes).substr(1), false);
    if (!found && token.starts_with(kMark)) found = Match(token.substr(kMark.size()), false);
    // Behind characters that left no token.
    if (!found && bytes) found = Match(*bytes, true);
    if (!found) found = Match(token, true);
    if (!found && fallback) found = Match(byte, true);
    if (!found || found->begin == found->end) found = Unknown();
    at_ = found->end;
    return *found;
  }

 private:
  /// How many bytes of the text at `at` the first character of `wanted` takes, and how many bytes
  /// of `wanted` that is; nothing if they differ.
  struct Step {
    size_t in_text = 0, in_wanted = 0;
  };
  std::optional<Step> Compare(std::string_view wanted, size_t at) const {
    if (wanted.front() == text_[at]) return Step{1, 1};
    if (wanted.starts_with(kMark) && text_[at] == ' ') return Step{1, kMark.size()};
    return std::nullopt;
  }

  /// The token as it stands at `begin`.
  std::optional<Span> MatchAt(std::string_view wanted, size_t begin) const {
    Span span{begin, begin};
    while (!wanted.empty()) {
      if (span.end >= text_.size()) return std::nullopt;
      const auto step = Compare(wanted, span.end);
      if (!step) return std::nullopt;
      wanted.remove_prefix(step->in_wanted);
      span.end += step->in_text;
    }
    return span;
  }

  /// The token as it stands next, or with `may_skip` behind some characters more.
  std::optional<Span> Match(std::string_view wanted, bool may_skip) const {
    if (wanted.empty()) return std::nullopt;
    const size_t last = may_skip ? std::min(text_.size(), at_ + kMostSkipped) : at_;
    for (size_t at = at_; at <= last && at < text_.size(); at += CharacterLength(text_, at)) {
      if (const auto found = MatchAt(wanted, at)) return found;
    }
    return std::nullopt;
  }

  /// A token that spells nothing of the text stands for what comes next.
  Span Unknown() const {
    const size_t length = at_ < text_.size() ? CharacterLength(text_, at_) : 0;
    return {at_, at_ + length};
  }

  const std::string_view text_;
  size_t at_ = 0;
};

/// Where characters begin, and how many characters stand before each once all are decomposed.
struct Characters {
  std::vector<size_t> offsets, counts;  ///< One more each than there are characters.
};

Characters CharactersOf(std::string_view text) {
  Characters all;
  size_t count = 0;
  for (size_t at = 0; at < text.size();) {
    all.offsets.push_back(at);
    all.counts.push_back(count);
    size_t length = 1;
    const uint32_t code = unicode::First(text.substr(at), &length);
    count += code < 0x80 ? 1 : unicode::Decompose({code}).size();
    at += std::max<size_t>(length, 1);
  }
  all.offsets.push_back(text.size());
  all.counts.push_back(count);
  return all;
}

/// From places in a normalized text to places in the text that it was made of.
class Mapping {
 public:
  /// Errors: Unimplemented if the two don't have the same characters, but for a space in front.
  static StatusOr<Mapping> Create(std::string_view text, const std::string& normalized) {
    Mapping mapping;
    mapping.is_same_ = text == normalized;
    if (mapping.is_same_) return mapping;
    mapping.text_ = CharactersOf(text);
    mapping.normalized_ = CharactersOf(normalized);
    const size_t has = mapping.normalized_.counts.back(), had = mapping.text_.counts.back();
    const bool has_space = normalized.starts_with(kMark) || normalized.starts_with(' ');
    if (has != had && !(has == had + 1 && has_space)) {
      return UnimplementedError(
          "the base's tokenizer rewrites texts, so it can't be told which tokens are an answer's");
    }
    mapping.in_front_ = has - had;
    return mapping;
  }

  /// The last place in the text that isn't behind `at`, or with `up` the first that isn't before.
  size_t Of(size_t at, bool up) const {
    if (is_same_) return at;
    const auto character = static_cast<size_t>(std::ranges::upper_bound(normalized_.offsets, at) -
                                               normalized_.offsets.begin()) -
                           1;
    const bool is_inside = normalized_.offsets[character] < at;
    size_t count = normalized_.counts[character + (is_inside && up ? 1 : 0)];
    count -= std::min(count, in_front_);
    const auto found = up ? std::ranges::lower_bound(text_.counts, count)
                          : std::ranges::upper_bound(text_.counts, count) - 1;
    return text_.offsets[static_cast<size_t>(found - text_.counts.begin())];
  }

 private:
  bool is_same_ = false;
  Characters text_, normalized_;
  size_t in_front_ = 0;
};

}  // namespace

Status Pipeline::LocatePiece(std::string_view piece, size_t offset, bool at_start,
                             std::vector<LocatedToken>& located) const {
  std::vector<int32_t> ids;
  AppendPiece(piece, at_start, SIZE_MAX, ids);
  if (ids.empty()) return OkStatus();
  const std::string normalized = stages_.normalizer->Normalize(piece);
  GRAFT_ASSIGN_OR_RETURN(const Mapping mapping, Mapping::Create(piece, normalized));
  Aligner aligner(normalized);
  for (const int32_t id : ids) {
    const Aligner::Span span = aligner.Next(tokens_[static_cast<size_t>(id)]);
    located.push_back(
        {id, offset + mapping.Of(span.begin, false), offset + mapping.Of(span.end, true)});
  }
  return OkStatus();
}

StatusOr<std::vector<LocatedToken>> Pipeline::Locate(std::string_view text) const {
  std::vector<LocatedToken> located;
  Status status;
  const auto offset_of = [&](std::string_view part) {
    return static_cast<size_t>(part.data() - text.data());
  };
  raw_tokens_.Split(
      text,
      [&](std::string_view piece) {
        if (!status.ok()) return;
        status = LocatePiece(piece, offset_of(piece), piece.data() == text.data(), located);
      },
      [&](int32_t id, std::string_view found) {
        located.push_back({id, offset_of(found), offset_of(found) + found.size()});
      });
  GRAFT_RETURN_IF_ERROR(status);
  return located;
}

}  // namespace graft::tokenizers
