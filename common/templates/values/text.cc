#include "common/templates/values/text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "common/base/utf8.h"
#include "common/templates/values/session.h"

namespace graft::templates {
namespace {

struct Range {
  uint32_t first, last;
};
/// Every `step`th code point from first to last becomes itself plus `added`.
struct Run {
  uint32_t first, last, step;
  int32_t added;
};
struct Special {
  uint32_t code;
  std::array<uint32_t, 3> to;  ///< Ends at 0.
};

#include "common/templates/values/unicode_tables.inc"

constexpr uint32_t kCapitalSigma = 0x3A3;

template <typename R, size_t N>
const R* Find(const R (&table)[N], uint32_t code) {
  const R* found = std::partition_point(std::begin(table), std::end(table),
                                        [&](const R& range) { return range.last < code; });
  return found != std::end(table) && found->first <= code ? found : nullptr;
}

template <size_t N, size_t M>
void AppendIn(const Run (&runs)[N], const Special (&specials)[M], uint32_t code, std::string& out) {
  const Special* special =
      std::partition_point(std::begin(specials), std::end(specials),
                           [&](const Special& entry) { return entry.code < code; });
  if (special != std::end(specials) && special->code == code) {
    for (const uint32_t to : special->to) {
      if (to != 0) AppendUtf8(to, out);
    }
    return;
  }
  const Run* run = Find(runs, code);
  const bool is_member = run != nullptr && (code - run->first) % run->step == 0;
  AppendUtf8(is_member ? static_cast<uint32_t>(static_cast<int32_t>(code) + run->added) : code,
             out);
}

bool IsLineEnd(uint32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

/// The character in front of the end. Requires: valid UTF-8, not empty.
Utf8Code LastCode(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return FirstCode(text.substr(begin));
}

template <typename IsMember>
std::string_view StripIf(std::string_view text, Side side, const IsMember& is_member) {
  while (side != Side::kRight && !text.empty()) {
    const Utf8Code first = FirstCode(text);
    if (!is_member(first, text.substr(0, first.length))) break;
    text.remove_prefix(first.length);
  }
  while (side != Side::kLeft && !text.empty()) {
    const Utf8Code last = LastCode(text);
    if (!is_member(last, text.substr(text.size() - last.length))) break;
    text.remove_suffix(last.length);
  }
  return text;
}

std::string Reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

}  // namespace

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

size_t NumCodes(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t CharacterBytes(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

size_t ByteOf(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += CharacterBytes(text.substr(at));
  return std::min(at, text.size());
}

bool IsSpace(uint32_t code) { return (code >= 0x1C && code <= 0x1F) || IsWhiteSpace(code); }

bool IsPrintable(uint32_t code) { return Find(kPrintable, code) != nullptr; }

std::string_view Strip(std::string_view text, Side side,
                       std::optional<std::string_view> characters) {
  if (characters.has_value()) {
    return StripIf(text, side, [&](Utf8Code, std::string_view character) {
      return characters->find(character) != std::string_view::npos;
    });
  }
  return StripIf(text, side, [](Utf8Code code, std::string_view) { return IsSpace(code.code); });
}

std::vector<std::string_view> SplitAtSpace(std::string_view text, SplitOptions options) {
  std::vector<std::string_view> parts;
  const Side near = options.from_right ? Side::kRight : Side::kLeft;
  for (text = Strip(text, near); !text.empty(); text = Strip(text, near)) {
    if (options.max >= 0 && static_cast<int64_t>(parts.size()) == options.max) {
      parts.push_back(text);  // With what white space it has at its far end.
      break;
    }
    const std::string_view rest =
        StripIf(text, near, [](Utf8Code code, std::string_view) { return !IsSpace(code.code); });
    const size_t length = text.size() - rest.size();
    parts.push_back(options.from_right ? text.substr(rest.size()) : text.substr(0, length));
    text = rest;
  }
  if (options.from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

size_t Find(std::string_view text, std::string_view what, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t FindLast(std::string_view text, std::string_view what) {
  const size_t found = Find(Reversed(text), Reversed(what));
  return found == std::string_view::npos ? found : text.size() - found - what.size();
}

size_t Occurrences(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = Find(text, what); at != std::string_view::npos;
       at = Find(text, what, at + what.size()))
    ++count;
  return count;
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    SplitOptions options) {
  std::vector<std::string_view> parts;
  const auto is_full = [&] {
    return options.max >= 0 && static_cast<int64_t>(parts.size()) >= options.max;
  };
  if (options.from_right) {
    const std::string reversed = Reversed(text);
    const std::string mark = Reversed(separator);
    size_t begin = 0;  // Counted from the right.
    for (size_t at = Find(reversed, mark); at != std::string_view::npos && !is_full();
         at = Find(reversed, mark, begin)) {
      parts.push_back(text.substr(text.size() - at, at - begin));
      begin = at + mark.size();
    }
    parts.push_back(text.substr(0, text.size() - begin));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  size_t begin = 0;
  for (size_t at = Find(text, separator); at != std::string_view::npos && !is_full();
       at = Find(text, separator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Code code = FirstCode(text.substr(at));
    size_t next = at + code.length;
    if (IsLineEnd(code.code)) {
      if (code.code == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

StatusOr<std::string> InCase(std::string_view text, Case to) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Code code = FirstCode(text);
    text.remove_prefix(code.length);
    if (to == Case::kUpper) {
      AppendIn(kUpper, kUpperSpecials, code.code, out);
    } else if (to == Case::kTitle) {
      AppendIn(kTitle, kTitleSpecials, code.code, out);
    } else if (code.code == kCapitalSigma) {
      return Failure("the lower case of a capital sigma depends on its word, which isn't built");
    } else {
      AppendIn(kLower, kLowerSpecials, code.code, out);
    }
  }
  return out;
}

StatusOr<std::string> Capitalized(std::string_view text) {
  if (text.empty()) return std::string();
  const size_t first = CharacterBytes(text);
  GRAFT_ASSIGN_OR_RETURN(std::string out, InCase(text.substr(0, first), Case::kTitle));
  GRAFT_ASSIGN_OR_RETURN(const std::string rest, InCase(text.substr(first), Case::kLower));
  return out + rest;
}

}  // namespace graft::templates
