#pragma once
/// What split patterns take a character for. A pattern's classes are Oniguruma's, which the Rust
/// library runs them with; numbers for Digits are rustc's, which knows more of them.
/// Thread safety: free functions and a table that never changes.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace graft::tokenizers::unicode {

/// \p{L}, \p{N}, \s, and [^\s\p{L}\p{N}]: each character is one of them.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };

/// By code point.
class CharClasses {
 public:
  /// The one table.
  static const CharClasses& Get();

  CharClass operator[](uint32_t code) const { return classes_[code]; }

 private:
  CharClasses();
  std::vector<CharClass> classes_;
};

/// rustc's char::is_numeric.
bool IsNumeric(uint32_t code);

/// One character of valid UTF-8, and its bytes.
struct ValidChar {
  uint32_t code = 0;
  size_t length = 1;
};

/// The character at `at`. Requires: the text is valid UTF-8 and a character begins there.
inline ValidChar CharAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t k) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[at + k]));
  };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const auto rest = [&](size_t k) { return byte(k) & 0x3F; };
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | rest(1), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | rest(1) << 6 | rest(2), 3};
  return {(lead & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3), 4};
}

}  // namespace graft::tokenizers::unicode
