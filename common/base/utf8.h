#pragma once
/// UTF-8: is it valid, and how to show a piece of untrusted text in an error. Every message shows
/// text of a user's through Printable or Quoted.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace graft {

/// Returns the offset of the first byte that isn't part of a valid sequence, npos if all are.
/// Overlong forms, surrogates and values past U+10FFFF are invalid. Source: RFC 3629.
size_t FirstInvalidUtf8(std::string_view text);

/// One character at the front of `text`, and its bytes; length 0 if the front isn't UTF-8.
struct Utf8Code {
  uint32_t code = 0;
  size_t length = 0;
};
/// Requires: `text` isn't empty.
Utf8Code FirstCode(std::string_view text);

/// Appends `code` as UTF-8. Requires: it is no surrogate and at most U+10FFFF.
void AppendUtf8(uint32_t code, std::string& text);

/// `text` with the letters A to Z in lower case; all else stays.
std::string AsciiLower(std::string_view text);

/// Unicode's White_Space.
bool IsWhiteSpace(uint32_t code);

/// True for what leaves no mark where it stands: controls, format characters (zero-width ones,
/// marks of direction, soft hyphen, byte order mark), fillers and variation selectors.
/// Source: Unicode's Cc, Cf and Default_Ignorable_Code_Point.
bool IsInvisible(uint32_t code);

/// Returns `text` fit for a message: valid UTF-8 in which nothing hides. White space other than a
/// plain space and what is invisible is escaped ("\n", "\u00a0"), bytes that aren't UTF-8 too
/// ("\xff"); cut to about `max_bytes` between characters, with "..." if it was cut.
std::string Printable(std::string_view text, size_t max_bytes = 64);

/// Returns `text` whole, fit for one line of a terminal: controls, separators of lines, marks that
/// turn the direction and bytes that aren't UTF-8 are escaped as Printable does; all else stays.
std::string OnOneLine(std::string_view text);

/// Printable in double quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 64);

}  // namespace graft
