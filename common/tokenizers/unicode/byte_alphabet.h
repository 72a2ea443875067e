#pragma once
/// The alphabet in which byte-level tokens are spelled: a printable character for each byte, those
/// of ASCII and Latin-1 for themselves and U+0100 and on for the others.
/// Thread safety: free functions.
/// Source: openai/gpt-2, encoder.py, bytes_to_unicode.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graft::tokenizers::unicode {

/// How a byte is spelled.
std::string Spelled(unsigned char byte);

/// The bytes that `token` spells; nothing if one of its characters is no byte's.
/// Requires: valid UTF-8.
std::optional<std::string> SpelledBytes(std::string_view token);

}  // namespace graft::tokenizers::unicode
