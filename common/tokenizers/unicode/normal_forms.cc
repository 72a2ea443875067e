#include "common/tokenizers/unicode/normal_forms.h"

#include <tuple>

#include "common/base/utf8.h"
#include "common/tokenizers/unicode/lookup.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers::unicode {
namespace {

#include "common/tokenizers/unicode/normal_forms.inc"

// Hangul syllables, which are composed by arithmetic.
constexpr uint32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr uint32_t kLeads = 19, kVowels = 21, kTails = 28;

uint8_t CombiningClass(uint32_t code) {
  if (code < 0x300) return 0;
  const ClassRange* found = Find(kCombining, code);
  return found != nullptr ? found->combining_class : 0;
}

/// Below this nothing composes, decomposes in NFC or is a mark.
constexpr uint32_t kStable = 0x300;

/// The character that the two make, 0 if they make none.
uint32_t Compose(uint32_t first, uint32_t second) {
  if (first - kLead < kLeads && second - kVowel < kVowels) {
    return kSyllable + ((first - kLead) * kVowels + second - kVowel) * kTails;
  }
  if (first - kSyllable < kLeads * kVowels * kTails && (first - kSyllable) % kTails == 0 &&
      second - kTail - 1 < kTails - 1) {
    return first + second - kTail;
  }
  const Composition* found = std::lower_bound(
      std::begin(kComposed), std::end(kComposed), std::tuple(first, second),
      [](const Composition& c, const auto& pair) { return std::tie(c.first, c.second) < pair; });
  if (found == std::end(kComposed)) return 0;
  return found->first == first && found->second == second ? found->composed : 0;
}

/// Whether text with this character may be no NFC: it decomposes, is a mark or joins the one
/// before it.
bool IsUnstable(uint32_t code) { return code >= kStable && Find(kUnstable, code) != nullptr; }

/// Composes decomposed text in place.
void ComposeAll(std::vector<uint32_t>& text) {
  size_t end = 0;             // Of what is composed.
  size_t starter = SIZE_MAX;  // The last character of class 0 in it.
  uint8_t last_class = 0;     // Of the last character in it, 0 if that is the starter.
  for (const uint32_t code : text) {
    const uint8_t its_class = CombiningClass(code);
    if (starter != SIZE_MAX) {
      // A mark of the same class in between blocks, and so does a character of class 0.
      const bool is_next = end == starter + 1;
      if (is_next || last_class < its_class) {
        if (const uint32_t composed = Compose(text[starter], code); composed != 0) {
          text[starter] = composed;
          continue;
        }
      }
    }
    if (its_class == 0) starter = end;
    last_class = its_class;
    text[end++] = code;
  }
  text.resize(end);
}

}  // namespace

std::vector<uint32_t> Decompose(const std::vector<uint32_t>& text) {
  std::vector<uint32_t> out;
  out.reserve(text.size());
  for (const uint32_t code : text) {
    if (code - kSyllable < kLeads * kVowels * kTails) {
      const uint32_t index = code - kSyllable;
      out.push_back(kLead + index / (kVowels * kTails));
      out.push_back(kVowel + index % (kVowels * kTails) / kTails);
      if (index % kTails != 0) out.push_back(kTail + index % kTails);
      continue;
    }
    const std::span<const uint32_t> parts =
        code < 0xC0 ? std::span<const uint32_t>() : Map(kDecomposed, kDecomposedPool, code);
    if (parts.empty()) {
      out.push_back(code);
    } else {
      out.insert(out.end(), parts.begin(), parts.end());
    }
  }
  // Canonical ordering: marks of one base sorted by class, equal classes in their order.
  for (size_t i = 0; i < out.size();) {
    if (CombiningClass(out[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < out.size() && CombiningClass(out[end]) != 0) ++end;
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(i),
                     out.begin() + static_cast<std::ptrdiff_t>(end),
                     [](uint32_t a, uint32_t b) { return CombiningClass(a) < CombiningClass(b); });
    i = end;
  }
  return out;
}

std::string Composed(std::string_view text) {
  bool changes = false;
  for (size_t i = 0, length = 1; i < text.size() && !changes; i += length) {
    length = 1;
    if (static_cast<unsigned char>(text[i]) < 0x80) continue;
    const Utf8Code code = FirstCode(text.substr(i));
    changes = code.length == 0 || IsUnstable(code.code);
    length = code.length;
  }
  if (!changes) return std::string(text);
  std::vector<uint32_t> codes = Decompose(Decode(text));
  ComposeAll(codes);
  std::string out;
  out.reserve(text.size());
  for (const uint32_t code : codes) Append(code, out);
  return out;
}

}  // namespace graft::tokenizers::unicode
