#include "common/base/utf8.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace graft {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

/// Length of the valid sequence at the front of `text`, 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t i, int low = 0x80, int high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const int low = lead == 0xE0 ? 0xA0 : 0x80;
    const int high = lead == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const int low = lead == 0xF0 ? 0x90 : 0x80;
    const int high = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

struct Range {
  uint32_t first, last;
};

constexpr std::array<Range, 10> kWhiteSpace = {{{0x09, 0x0D},
                                                {0x20, 0x20},
                                                {0x85, 0x85},
                                                {0xA0, 0xA0},
                                                {0x1680, 0x1680},
                                                {0x2000, 0x200A},
                                                {0x2028, 0x2029},
                                                {0x202F, 0x202F},
                                                {0x205F, 0x205F},
                                                {0x3000, 0x3000}}};

// What is white space too is left out.
constexpr std::array<Range, 28> kInvisible = {
    {{0x00, 0x08},       {0x0E, 0x1F},       {0x7F, 0x84},       {0x86, 0x9F},
     {0xAD, 0xAD},       {0x034F, 0x034F},   {0x061C, 0x061C},   {0x070F, 0x070F},
     {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x200B, 0x200F},
     {0x202A, 0x202E},   {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},
     {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD},
     {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
     {0xE0000, 0xE007F}, {0xE0080, 0xE00FF}, {0xE0100, 0xE01EF}, {0xE01F0, 0xE0FFF}}};

template <size_t N>
bool Holds(const std::array<Range, N>& ranges, uint32_t code) {
  const auto* at =
      std::partition_point(ranges.begin(), ranges.end(), [&](Range r) { return r.last < code; });
  return at != ranges.end() && at->first <= code;
}

void AppendEscaped(uint32_t code, std::string& out) {
  switch (code) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const int digits = code > 0xFFFF ? 8 : 4;
  out += digits == 8 ? "\\U" : "\\u";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kDigits[code >> shift & 15];
}

/// Takes the character at the front of `text`; returns it, escaped if it isn't UTF-8 or `escapes`
/// it. Requires: `text` isn't empty.
template <typename Escapes>
std::string TakeEscaped(std::string_view& text, const Escapes& escapes) {
  const Utf8Code next = FirstCode(text);
  std::string piece;
  if (next.length == 0) {
    const auto byte = static_cast<uint8_t>(text[0]);
    piece = {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
  } else if (escapes(next.code)) {
    AppendEscaped(next.code, piece);
  } else {
    piece = text.substr(0, next.length);
  }
  text.remove_prefix(std::max<size_t>(next.length, 1));
  return piece;
}

}  // namespace

size_t FirstInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word = 0;
    while (at + sizeof(word) <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof(word));
      if ((word & 0x8080808080808080U) != 0) break;
      at += sizeof(word);
    }
    if (at == text.size()) break;
    const size_t length = SequenceLength(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

Utf8Code FirstCode(std::string_view text) {
  const size_t length = SequenceLength(text);
  if (length <= 1) return {length == 0 ? 0U : static_cast<uint8_t>(text[0]), length};
  uint32_t code = static_cast<uint8_t>(text[0]) & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3FU);
  return {code, length};
}

void AppendUtf8(uint32_t code, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80U | (code >> shift & 0x3FU)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0U | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0U | code >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0U | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return lower;
}

bool IsWhiteSpace(uint32_t code) { return Holds(kWhiteSpace, code); }
bool IsInvisible(uint32_t code) { return Holds(kInvisible, code); }

std::string Printable(std::string_view text, size_t max_bytes) {
  const auto hides = [](uint32_t code) {
    return code != ' ' && (IsWhiteSpace(code) || IsInvisible(code));
  };
  std::string shown;
  while (!text.empty()) {
    const std::string piece = TakeEscaped(text, hides);
    if (shown.size() + piece.size() > max_bytes) return shown + "...";
    shown += piece;
  }
  return shown;
}

std::string OnOneLine(std::string_view text) {
  const auto moves = [](uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f || code == 0x61c;
  };
  std::string shown;
  while (!text.empty()) shown += TakeEscaped(text, moves);
  return shown;
}

std::string Quoted(std::string_view text, size_t max_bytes) {
  return '"' + Printable(text, max_bytes) + '"';
}

}  // namespace graft
