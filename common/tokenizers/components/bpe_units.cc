#include "common/tokenizers/components/bpe_units.h"

#include <algorithm>

#include "common/tokenizers/unicode/byte_alphabet.h"
#include "common/tokenizers/unicode/char_class.h"

namespace graft::tokenizers {
namespace {

constexpr int32_t kNone = WordTable::kNone;

bool IsKnown(int32_t id) { return id != kNone; }

std::string ByteToken(unsigned char byte) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace

BpeUnits::BpeUnits(BpeUnitOptions options, const Vocabulary& vocabulary)
    : options_(std::move(options)) {
  const auto id_of = [&](const std::string& token) {
    const auto found = vocabulary.find(token);
    return found != vocabulary.end() ? found->second : kNone;
  };
  for (size_t b = 0; b < 256; ++b) {
    const auto byte = static_cast<unsigned char>(b);
    byte_tokens_[b] = id_of(ByteToken(byte));
    bytes_[b] = id_of(unicode::Spelled(byte));
  }
  if (options_.unk_token) unk_id_ = id_of(*options_.unk_token);
  if (options_.byte_level) return;
  for (const auto& [token, id] : vocabulary) {
    if (!token.empty() && unicode::CharAt(token, 0).length == token.size()) {
      characters_.Insert(token, id);
    }
  }
}

bool BpeUnits::Knows(std::string_view character) const {
  return IsKnown(characters_.Find(character));
}

bool BpeUnits::can_be_unknown() const {
  if (options_.byte_fallback && std::ranges::all_of(byte_tokens_, IsKnown)) return false;
  return !options_.byte_level || !std::ranges::all_of(bytes_, IsKnown);
}

std::optional<int32_t> BpeUnits::unk_id() const {
  return IsKnown(unk_id_) ? std::optional(unk_id_) : std::nullopt;
}

void BpeUnits::Append(std::string_view text, std::vector<int32_t>& ids) const {
  bool is_pending = false;  // An unknown token that isn't among the ids yet.
  const auto append = [&](int32_t id, const auto& spelled) {
    if (!IsKnown(id)) return AppendUnknown(spelled(), &is_pending, ids);
    if (is_pending) ids.push_back(unk_id_);
    is_pending = false;
    ids.push_back(id);
  };
  for (size_t i = 0, length = 1; i < text.size(); i += length) {
    if (options_.byte_level) {
      const auto byte = static_cast<unsigned char>(text[i]);
      append(bytes_[byte], [&] { return unicode::Spelled(byte); });
    } else {
      length = unicode::CharAt(text, i).length;
      const std::string_view character = text.substr(i, length);
      append(characters_.Find(character), [&] { return character; });
    }
  }
  if (is_pending) ids.push_back(unk_id_);
}

/// Bytes go before an unknown token that isn't among the ids yet, as they do in the reference.
void BpeUnits::AppendUnknown(std::string_view spelled, bool* is_pending,
                             std::vector<int32_t>& ids) const {
  const auto token = [&](char c) { return byte_tokens_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback &&
      std::ranges::all_of(spelled, [&](char c) { return IsKnown(token(c)); })) {
    for (const char c : spelled) ids.push_back(token(c));
    return;
  }
  if (!IsKnown(unk_id_)) return;
  if (*is_pending && !options_.fuse_unk) ids.push_back(unk_id_);
  *is_pending = true;
}

}  // namespace graft::tokenizers
