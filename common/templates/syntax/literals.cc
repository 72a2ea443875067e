#include "common/templates/syntax/literals.h"

#include <algorithm>
#include <charconv>

#include "common/base/utf8.h"

namespace graft::templates {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Digits of `base` with single underscores between them, as far as they go; an underscore may
/// stand in front too if `leading`.
size_t DigitsAt(std::string_view text, size_t at, int base, bool leading) {
  const auto is_digit = [&](size_t i) {
    if (i >= text.size()) return false;
    const char c = text[i];
    const int value = IsDigit(c)             ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : 99;
    return value < base;
  };
  size_t end = at;
  while (is_digit(end) ||
         ((end > at || leading) && end < text.size() && text[end] == '_' && is_digit(end + 1)))
    ++end;
  return end;
}

std::string WithoutUnderscores(std::string_view digits) {
  std::string plain(digits);
  plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  return plain;
}

int BaseOf(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 10;
  const char letter = static_cast<char>(text[1] | 0x20);
  return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
}

/// The code of up to `most` digits; `*at` is moved behind them. Nothing if fewer than `least`.
std::optional<uint32_t> CodeAt(std::string_view text, size_t* at, int base, size_t least,
                               size_t most) {
  const std::string_view digits = text.substr(*at, most);
  uint32_t code = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, base);
  const auto length = static_cast<size_t>(end - digits.data());
  if (error != std::errc() || length < least) return {};
  *at += length;
  return code;
}

Status AppendCode(std::optional<uint32_t> code, std::string& out) {
  if (!code.has_value()) return InvalidArgumentError("an escape in a string lacks digits");
  if (*code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
    return InvalidArgumentError("an escape in a string is no character");
  AppendUtf8(*code, out);
  return OkStatus();
}

}  // namespace

StatusOr<std::string> Unescaped(std::string_view inside) {
  constexpr std::string_view kLetters = "abfnrtv\\'\"";
  constexpr std::string_view kMeant = "\a\b\f\n\r\t\v\\'\"";
  std::string out;
  for (size_t at = 0; at < inside.size();) {
    if (inside[at] != '\\') {
      out += inside[at++];
      continue;
    }
    const char what = inside[at + 1];  // The string's end isn't escaped, so there is one.
    at += 2;
    if (const size_t known = kLetters.find(what); known != std::string_view::npos) {
      out += kMeant[known];
    } else if (what == '\n') {
      continue;
    } else if (what >= '0' && what <= '7') {
      --at;
      GRAFT_RETURN_IF_ERROR(AppendCode(CodeAt(inside, &at, 8, 1, 3), out));
    } else if (what == 'x' || what == 'u' || what == 'U') {
      const size_t digits = what == 'x' ? 2 : what == 'u' ? 4 : 8;
      GRAFT_RETURN_IF_ERROR(AppendCode(CodeAt(inside, &at, 16, digits, digits), out));
    } else if (what == 'N' || (what & 0x80) != 0) {
      return InvalidArgumentError("a string has the escape " + Quoted(inside.substr(at - 2, 2)) +
                                  ", which isn't built");
    } else {
      out += '\\';
      out += what;
    }
  }
  return out;
}

size_t NumberBytes(std::string_view text, bool may_be_float, bool* is_float) {
  *is_float = false;
  if (text.empty() || !IsDigit(text[0])) return 0;
  const size_t whole = DigitsAt(text, 0, 10, false);
  if (may_be_float) {
    size_t end = whole;
    if (end + 1 < text.size() && text[end] == '.' && IsDigit(text[end + 1])) {
      end = DigitsAt(text, end + 1, 10, false);
      *is_float = true;
    }
    if (end < text.size() && (text[end] | 0x20) == 'e') {
      const size_t sign = end + 1 < text.size() && (text[end + 1] == '+' || text[end + 1] == '-');
      const size_t power = end + 1 + sign;
      if (power < text.size() && IsDigit(text[power])) {
        end = DigitsAt(text, power, 10, false);
        *is_float = true;
      }
    }
    if (*is_float) return end;
  }
  if (const int base = BaseOf(text); base != 10) {
    const size_t end = DigitsAt(text, 2, base, true);
    if (end > 2) return end;
  }
  if (text[0] != '0') return whole;
  size_t zeros = 1;  // A number doesn't begin with 0, but may be several.
  while (zeros < whole && (text[zeros] == '0' || (text[zeros] == '_' && text[zeros + 1] == '0')))
    ++zeros;
  return zeros;
}

StatusOr<int64_t> IntegerOf(std::string_view digits) {
  const int base = BaseOf(digits);
  const std::string plain = WithoutUnderscores(digits.substr(base == 10 ? 0 : 2));
  int64_t number = 0;
  const auto result = std::from_chars(plain.data(), plain.data() + plain.size(), number, base);
  if (result.ec != std::errc())
    return InvalidArgumentError("the number " + Printable(digits) + " doesn't fit in 64 bits");
  return number;
}

double FloatOf(std::string_view digits) {
  const std::string plain = WithoutUnderscores(digits);
  double number = 0;
  const auto result = std::from_chars(plain.data(), plain.data() + plain.size(), number);
  // Beyond a double's range from_chars leaves the number alone; strtod says infinity or 0.
  return result.ec == std::errc() ? number : std::strtod(plain.c_str(), nullptr);
}

}  // namespace graft::templates
