#include "common/datasets/label_keys.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>
#include <system_error>
#include <tuple>
#include <vector>

#include "common/base/utf8.h"
#include "common/tokenizers/unicode/normal_forms.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::datasets {
namespace {

namespace unicode = tokenizers::unicode;

struct Mapping {
  uint32_t code;
  uint16_t begin, size;  ///< Of the pool.
};

#include "common/datasets/label_tables.inc"

using Codes = std::vector<uint32_t>;

/// What the table makes of `code`; empty if it says nothing.
std::span<const uint32_t> Lookup(std::span<const Mapping> table, const uint32_t* pool,
                                 uint32_t code) {
  const auto at = std::partition_point(table.begin(), table.end(),
                                       [&](const Mapping& entry) { return entry.code < code; });
  if (at == table.end() || at->code != code) return {};
  return {pool + at->begin, at->size};
}

Codes Mapped(const Codes& codes, std::span<const Mapping> table, const uint32_t* pool) {
  Codes out;
  for (const uint32_t code : codes) {
    const auto to = Lookup(table, pool, code);
    if (to.empty()) {
      out.push_back(code);
    } else {
      out.insert(out.end(), to.begin(), to.end());
    }
  }
  return out;
}

/// Decomposed, without what is invisible, each white space a plain one, none at the ends.
Codes SameCodes(std::string_view name) {
  Codes codes = unicode::Decode(name);
  std::erase_if(codes, [](uint32_t code) { return IsInvisible(code); });
  codes = unicode::Decompose(Mapped(codes, kSame, kSamePool));
  for (uint32_t& code : codes) {
    if (IsWhiteSpace(code)) code = ' ';
  }
  const auto is_space = [](uint32_t code) { return code == ' '; };
  codes.erase(codes.begin(), std::find_if_not(codes.begin(), codes.end(), is_space));
  codes.erase(std::find_if_not(codes.rbegin(), codes.rend(), is_space).base(), codes.end());
  return codes;
}

Codes Folded(const Codes& codes) {
  Codes out;
  for (const uint32_t code : codes) {
    auto to = Lookup(kFold, kFoldPool, code);
    if (to.empty()) to = unicode::Lower(code);
    if (to.empty()) {
      out.push_back(code);
    } else {
      out.insert(out.end(), to.begin(), to.end());
    }
  }
  return unicode::Decompose(out);
}

bool IsDigit(uint32_t code) { return code >= '0' && code <= '9'; }

/// Without spaces, and without hyphens and underscores that join letters: "A-" and "-1" keep
/// theirs.
Codes Joined(const Codes& codes) {
  Codes out;
  for (size_t i = 0; i < codes.size(); ++i) {
    const bool joins = (codes[i] == '-' || codes[i] == '_') && i > 0 && i + 1 < codes.size() &&
                       !IsDigit(codes[i - 1]) && !IsDigit(codes[i + 1]);
    if (codes[i] != ' ' && !joins) out.push_back(codes[i]);
  }
  return out;
}

/// The Latin letter that a Cyrillic or Greek one looks like; 0 if it looks like none.
uint32_t LatinTwin(uint32_t code) {
  constexpr std::u32string_view kOthers =
      U"\u0430\u0435\u043E\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04BB\u0501\u051B\u051D"
      U"\u0410\u0412\u0415\u041A\u041C\u041D\u041E\u0420\u0421\u0422\u0425\u0406\u0408\u0405"
      U"\u03BF\u0391\u0392\u0395\u0396\u0397\u0399\u039A\u039C\u039D\u039F\u03A1\u03A4\u03A5\u03A7";
  constexpr std::string_view kLatin = "aeopcyxijshdqwABEKMHOPCTXIJSoABEZHIKMNOPTYX";
  static_assert(kOthers.size() == kLatin.size());
  const size_t at = kOthers.find(static_cast<char32_t>(code));
  return at == std::u32string_view::npos ? 0 : static_cast<uint32_t>(kLatin[at]);
}

std::string ToKey(const Codes& codes) {
  std::string key;
  for (const uint32_t code : codes) AppendUtf8(code, key);
  return key;
}

/// Dashes as hyphens, apostrophes as typewriters have them, what prints as a blank as one.
uint32_t Typed(uint32_t code) {
  if ((code >= 0x2010 && code <= 0x2015) || code == 0x2212) return '-';
  if (code == 0x2018 || code == 0x2019 || code == 0x02BC) return '\'';
  return code == 0x2800 ? ' ' : code;
}

Codes AlikeCodes(const Codes& codes) {
  Codes alike = unicode::Decompose(Mapped(codes, kAlike, kAlikePool));
  std::transform(alike.begin(), alike.end(), alike.begin(), Typed);
  return Joined(Folded(alike));
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

std::string SameLabelKey(std::string_view name) { return ToKey(SameCodes(name)); }

std::string AlikeLabelKey(std::string_view name) { return ToKey(AlikeCodes(SameCodes(name))); }

std::string LookLabelKey(std::string_view name) {
  Codes codes = SameCodes(name);
  for (uint32_t& code : codes) {
    if (const uint32_t latin = LatinTwin(code); latin != 0) code = latin;
  }
  return ToKey(AlikeCodes(codes));
}

std::optional<double> NumberLabel(std::string_view name) {
  std::string text(Trimmed(name));
  if (text.starts_with('+')) text.erase(0, 1);
  const size_t digits = text.starts_with('-') ? 1 : 0;
  // from_chars takes "inf" and "nan" for numbers.
  if (digits >= text.size() ||
      (!IsDigit(static_cast<unsigned char>(text[digits])) && text[digits] != '.')) {
    return std::nullopt;
  }
  if (const size_t comma = text.find(',');
      comma != std::string::npos && text.find('.') == std::string::npos) {
    text[comma] = '.';
  }
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<int64_t> IntegerLabel(std::string_view name) {
  const std::string_view digits = name.substr(name.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int64_t value = 0;
  std::from_chars(name.data(), name.data() + name.size(), value);
  return value;
}

bool IsSmallerNumber(std::string_view a, std::string_view b) {
  const auto key = [](std::string_view name) {
    // Beyond 2^53 a double doesn't tell neighbours apart; whole numbers do.
    const auto whole = IntegerLabel(name);
    return std::tuple(NumberLabel(name).value_or(0), whole ? 0 : 1, whole.value_or(0), name);
  };
  return key(a) < key(b);
}

}  // namespace graft::datasets
