#include "common/tokenizers/matching/word_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace graft::tokenizers {
namespace {

uint64_t Mixed(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15;
  return hash ^ hash >> 29;
}

template <typename Word>
uint64_t Load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

/// Reads eight bytes at a time, the last of them twice where the length is no multiple of eight.
uint32_t Hash(std::string_view text) {
  const char* at = text.data();
  const size_t size = text.size();
  uint64_t hash = size;
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8) hash = Mixed(hash, Load<uint64_t>(at + i));
    hash = Mixed(hash, Load<uint64_t>(at + size - 8));
  } else if (size >= 4) {
    hash = Mixed(hash, Load<uint32_t>(at) << 32 | Load<uint32_t>(at + size - 4));
  } else if (size > 0) {
    hash = Mixed(hash, Load<uint8_t>(at) << 16 | Load<uint8_t>(at + size / 2) << 8 |
                           Load<uint8_t>(at + size - 1));
  }
  return static_cast<uint32_t>(Mixed(hash, size) >> 32);
}

}  // namespace

WordTable::WordTable(size_t num_texts) : slots_(std::bit_ceil(num_texts * 2 + 2)) {}

void WordTable::Grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.value == kNone) continue;
    size_t at = slot.hash & mask;
    while (slots_[at].value != kNone) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

void WordTable::Insert(std::string_view text, int32_t value) {
  if ((++num_texts_) * 2 > slots_.size()) Grow();
  const size_t mask = slots_.size() - 1;
  const uint32_t hash = Hash(text);
  size_t at = hash & mask;
  while (slots_[at].value != kNone) at = (at + 1) & mask;
  slots_[at] = {hash, static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size()),
                value};
  bytes_ += text;
  longest_ = std::max(longest_, text.size());
}

int32_t WordTable::Find(std::string_view text) const {
  if (text.size() > longest_) return kNone;
  const size_t mask = slots_.size() - 1;
  const uint32_t hash = Hash(text);
  for (size_t at = hash & mask; slots_[at].value != kNone; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.hash == hash && slot.length == text.size() &&
        std::memcmp(bytes_.data() + slot.offset, text.data(), text.size()) == 0) {
      return slot.value;
    }
  }
  return kNone;
}

}  // namespace graft::tokenizers
