#pragma once
/// What tokenizers need to know of Unicode, as HuggingFace's Rust library knows it (generate.py
/// asks it about every code point). Thread safety: free functions.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graft::tokenizers::unicode {

/// Decodes UTF-8; invalid bytes become U+FFFD as Rust's from_utf8_lossy makes them.
std::vector<uint32_t> Decode(std::string_view text);
/// The first character of `text`, U+FFFD if it is invalid; `length`, if given, is set to its bytes.
/// Requires: not empty.
uint32_t First(std::string_view text, size_t* length = nullptr);
/// The text with U+FFFD in place of invalid bytes, as Decode reads them.
std::string Valid(std::string_view text);
/// How many bytes at the end of `text` begin a character that isn't whole there.
size_t UnfinishedBytes(std::string_view text);
/// Appends `code` as UTF-8.
void Append(uint32_t code, std::string& text);

bool IsRemovedByCleaning(
    uint32_t code);  ///< U+0000, U+FFFD, and Unicode 8.0's Cc, Cf, Co but tab and newlines.
bool BecomesSpace(uint32_t code);      ///< White space other than ' '.
bool IsChinese(uint32_t code);         ///< The blocks that the library surrounds with spaces.
bool IsNonspacingMark(uint32_t code);  ///< Unicode 8.0's Mn.
bool IsMark(uint32_t code);         ///< Any combining mark, as the library's StripAccents has it.
bool IsWord(uint32_t code);         ///< A regular expression's \w.
bool IsPunctuation(uint32_t code);  ///< ASCII punctuation, and Unicode 8.0's P*.
bool IsWhitespace(uint32_t code);
/// Lower case without context: one to three code points; empty if unchanged.
std::span<const uint32_t> Lower(uint32_t code);

}  // namespace graft::tokenizers::unicode
