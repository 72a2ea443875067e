#include "common/tokenizers/unicode/unicode.h"

#include <cctype>

#include "common/base/utf8.h"
#include "common/tokenizers/unicode/lookup.h"

namespace graft::tokenizers::unicode {
namespace {

#include "common/tokenizers/unicode/tables.inc"

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

std::string Valid(std::string_view text) {
  if (FirstInvalidUtf8(text) == std::string_view::npos) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (const uint32_t code : Decode(text)) Append(code, out);
  return out;
}

size_t UnfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(text.size(), 3); ++back) {
    const auto lead = static_cast<unsigned char>(text[text.size() - back]);
    if ((lead & 0xC0U) == 0x80) continue;
    const size_t whole = lead < 0xC2 || lead > 0xF4 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    size_t length = 0;
    First(text.substr(text.size() - back), &length);
    return length == back && back < whole ? back : 0;
  }
  return 0;
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

}  // namespace graft::tokenizers::unicode
