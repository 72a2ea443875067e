#include "common/tokenizers/unicode/char_class.h"

#include <span>

#include "common/tokenizers/unicode/lookup.h"

namespace graft::tokenizers::unicode {
namespace {

#include "common/tokenizers/unicode/classes.inc"

constexpr uint32_t kCodes = 0x110000;

}  // namespace

CharClasses::CharClasses() : classes_(kCodes, CharClass::kOther) {
  const auto mark = [&](std::span<const Range> ranges, CharClass kind) {
    for (const Range& range : ranges) {
      for (uint32_t code = range.first; code <= range.last; ++code) classes_[code] = kind;
    }
  };
  mark(kLetters, CharClass::kLetter);
  mark(kNumbers, CharClass::kNumber);
  mark(kSpaces, CharClass::kSpace);
}

const CharClasses& CharClasses::Get() {
  static const CharClasses classes;
  return classes;
}

bool IsNumeric(uint32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  return Find(kNumeric, code) != nullptr;
}

}  // namespace graft::tokenizers::unicode
