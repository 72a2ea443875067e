#include "common/tokenizers/unicode/unicode.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>

namespace graft::tokenizers::unicode {
namespace {

struct Range {
  uint32_t first, last;
};
struct ClassRange {
  uint32_t first, last;
  uint8_t combining_class;
};
struct Mapping {
  uint32_t code, offset, length;
};

#include "common/tokenizers/unicode/tables.inc"

template <typename R, size_t N>
const R* Find(const R (&table)[N], uint32_t code) {
  const R* found = std::upper_bound(std::begin(table), std::end(table), code,
                                    [](uint32_t c, const R& range) { return c < range.first; });
  if (found == std::begin(table)) return nullptr;
  --found;
  return code <= found->last ? found : nullptr;
}

template <size_t N>
std::span<const uint32_t> Map(const Mapping (&table)[N], const uint32_t* pool, uint32_t code) {
  const Mapping* found =
      std::lower_bound(std::begin(table), std::end(table), code,
                       [](const Mapping& mapping, uint32_t c) { return mapping.code < c; });
  if (found == std::end(table) || found->code != code) return {};
  return {pool + found->offset, found->length};
}

uint8_t CombiningClass(uint32_t code) {
  if (code < 0x300) return 0;
  const ClassRange* found = Find(kCombining, code);
  return found != nullptr ? found->combining_class : 0;
}

}  // namespace

uint32_t First(std::string_view text, size_t* length) {
  size_t ignored = 0;
  size_t& bytes = length != nullptr ? *length : ignored;
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  const uint32_t lead = byte(0);
  bytes = 1;
  if (lead < 0x80) return lead;
  if (lead < 0xC2 || lead > 0xF4) return 0xFFFD;
  const size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  // The first continuation byte's range rules out overlong forms, surrogates and what is above
  // U+10FFFF.
  const uint32_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint32_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  uint32_t code = lead & (0x7FU >> whole);
  for (; bytes < whole && bytes < text.size(); ++bytes) {
    const uint32_t next = byte(bytes);
    if (next < (bytes == 1 ? low : 0x80) || next > (bytes == 1 ? high : 0xBF)) break;
    code = code << 6 | (next & 0x3F);
  }
  return bytes == whole ? code : 0xFFFD;
}

std::vector<uint32_t> Decode(std::string_view text) {
  std::vector<uint32_t> codes;
  codes.reserve(text.size());
  for (size_t i = 0, length = 1; i < text.size(); i += length) {
    codes.push_back(First(text.substr(i), &length));
  }
  return codes;
}

void Append(uint32_t code, std::string& text) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
  } else if (code < 0x10000) {
    text += {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
             static_cast<char>(0x80 | (code & 0x3F))};
  } else {
    text += {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F)),
             static_cast<char>(0x80 | (code >> 6 & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
  }
}

bool IsRemovedByCleaning(uint32_t code) { return Find(kRemoved, code) != nullptr; }
bool BecomesSpace(uint32_t code) { return Find(kToSpace, code) != nullptr; }
bool IsChinese(uint32_t code) { return code >= 0x3400 && Find(kChinese, code) != nullptr; }
bool IsNonspacingMark(uint32_t code) {
  return code >= 0x300 && Find(kNonspacingMarks, code) != nullptr;
}
bool IsMark(uint32_t code) { return code >= 0x300 && Find(kMarks, code) != nullptr; }
bool IsWord(uint32_t code) {
  if (code < 0x80) return std::isalnum(static_cast<int>(code)) != 0 || code == '_';
  return Find(kWord, code) != nullptr;
}
bool IsPunctuation(uint32_t code) { return Find(kPunctuation, code) != nullptr; }
bool IsWhitespace(uint32_t code) { return Find(kWhitespace, code) != nullptr; }
std::span<const uint32_t> Lower(uint32_t code) { return Map(kLower, kLowerPool, code); }

std::vector<uint32_t> Decompose(const std::vector<uint32_t>& text) {
  std::vector<uint32_t> out;
  out.reserve(text.size());
  for (const uint32_t code : text) {
    if (code >= 0xAC00 && code < 0xAC00 + 11172) {
      // Hangul by arithmetic: Unicode standard, section 3.12.
      const uint32_t index = code - 0xAC00;
      out.push_back(0x1100 + index / 588);
      out.push_back(0x1161 + index % 588 / 28);
      if (index % 28 != 0) out.push_back(0x11A7 + index % 28);
      continue;
    }
    const std::span<const uint32_t> parts =
        code < 0xC0 ? std::span<const uint32_t>() : Map(kDecomposed, kDecomposedPool, code);
    if (parts.empty()) {
      out.push_back(code);
    } else {
      out.insert(out.end(), parts.begin(), parts.end());
    }
  }
  // Canonical ordering: marks of one base sorted by class, equal classes in their order.
  for (size_t i = 0; i < out.size();) {
    if (CombiningClass(out[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < out.size() && CombiningClass(out[end]) != 0) ++end;
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(i),
                     out.begin() + static_cast<std::ptrdiff_t>(end),
                     [](uint32_t a, uint32_t b) { return CombiningClass(a) < CombiningClass(b); });
    i = end;
  }
  return out;
}

}  // namespace graft::tokenizers::unicode
