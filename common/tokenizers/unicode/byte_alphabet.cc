#include "common/tokenizers/unicode/byte_alphabet.h"

#include <array>

#include "common/tokenizers/unicode/char_class.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers::unicode {
namespace {

constexpr int kBytes = 256,
              kShifted = 68;  // Bytes in all, and those that don't stand for themselves.

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<uint32_t, kBytes> code = {};            ///< By byte.
  std::array<int16_t, kBytes + kShifted> byte = {};  ///< By code point, -1 for none.
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  uint32_t next = kBytes;
  for (int b = 0; b < kBytes; ++b) {
    const uint32_t code = StandsForItself(b) ? static_cast<uint32_t>(b) : next++;
    alphabet.code[static_cast<size_t>(b)] = code;
    alphabet.byte[code] = static_cast<int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::string Spelled(unsigned char byte) {
  std::string text;
  Append(kAlphabet.code[byte], text);
  return text;
}

std::optional<std::string> SpelledBytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const ValidChar next = CharAt(token, i);
    if (next.code >= kAlphabet.byte.size() || kAlphabet.byte[next.code] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[next.code]);
    i += next.length;
  }
  return bytes;
}

}  // namespace graft::tokenizers::unicode
