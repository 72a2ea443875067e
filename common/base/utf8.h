#pragma once
/// UTF-8: is it valid, and how to show a piece of untrusted text in an error.

#include <cstddef>
#include <string>
#include <string_view>

namespace graft {

/// Returns the offset of the first byte that isn't part of a valid sequence, npos if all are.
/// Overlong forms, surrogates and values past U+10FFFF are invalid. Source: RFC 3629.
size_t FirstInvalidUtf8(std::string_view text);

/// Returns `text` fit for a message: valid UTF-8 without control characters (each bad byte becomes
/// '?'), cut to about `max_bytes` between characters, with "..." if it was cut.
std::string Printable(std::string_view text, size_t max_bytes = 64);

/// Printable in double quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 64);

}  // namespace graft
