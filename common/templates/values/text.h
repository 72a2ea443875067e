#pragma once
/// What Python's str methods do, on UTF-8. Positions and lengths count code points unless they are
/// called bytes. Thread safety: free functions.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::templates {

bool IsAscii(std::string_view text);
size_t NumCodes(std::string_view text);
/// The byte where code point `index` begins; all bytes if there are fewer.
size_t ByteOf(std::string_view text, size_t index);
/// The bytes of the character at the front. Requires: valid UTF-8, not empty.
size_t CharacterBytes(std::string_view text);

/// Where `what` first stands at or behind `from`, last stands, and how often it stands without
/// overlaps; npos if nowhere. Linear, whatever the texts: they may be made to be slow to search.
size_t Find(std::string_view text, std::string_view what, size_t from = 0);
size_t FindLast(std::string_view text, std::string_view what);
/// Requires: `what` isn't empty.
size_t Occurrences(std::string_view text, std::string_view what);

/// str.isspace of one character: Unicode's white space and four separators of ASCII.
bool IsSpace(uint32_t code);
/// str.isprintable of one character.
bool IsPrintable(uint32_t code);

enum class Side { kLeft, kRight, kBoth };
/// Strips white space, or the characters given.
std::string_view Strip(std::string_view text, Side side,
                       std::optional<std::string_view> characters = {});

/// At most `max` splits, counted from the right for split's counterpart rsplit; none below 0.
struct SplitOptions {
  int64_t max = -1;
  bool from_right = false;
};
std::vector<std::string_view> SplitAtSpace(std::string_view text, SplitOptions options);
/// Requires: `separator` isn't empty.
std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    SplitOptions options);
/// Also at the line ends that only Python knows (vertical tab, U+2028 and so on).
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);

enum class Case { kLower, kUpper, kTitle };
/// `text` with each character in that case, up to three characters for one.
/// Errors: Failure for a capital sigma to be lowered, whose form depends on what is around it.
StatusOr<std::string> InCase(std::string_view text, Case to);
/// The first character in title case, all others lowered.
StatusOr<std::string> Capitalized(std::string_view text);

}  // namespace graft::templates
