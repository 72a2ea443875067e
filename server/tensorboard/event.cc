#include "server/tensorboard/event.h"

#include <bit>

#include "server/tensorboard/record.h"

namespace graft::server::tensorboard {
namespace {

constexpr std::string_view kVersion = "brain.Event:2";

/// Kinds of fields on the wire, and fields by their numbers.
constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
constexpr uint32_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kValue = 1, kTag = 1,
                   kSimpleValue = 2;
constexpr uint32_t kNumber = 50001;  ///< Far behind those that Event may still get.

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void AppendKey(uint32_t field, uint32_t kind, std::string& out) {
  AppendVarint(uint64_t{field} << 3 | kind, out);
}

void AppendBytes(uint32_t field, std::string_view bytes, std::string& out) {
  AppendKey(field, kBytes, out);
  AppendVarint(bytes.size(), out);
  out += bytes;
}

std::string Begin(double wall_time) {
  std::string out;
  AppendKey(kWallTime, kFixed64, out);
  AppendLittleEndian(std::bit_cast<uint64_t>(wall_time), 8, out);
  return out;
}

/// Takes a number from the front of `text`; nothing if none is there.
std::optional<uint64_t> TakeVarint(std::string_view& text) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !text.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(text.front());
    text.remove_prefix(1);
    value |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

/// Takes a field that isn't a varint from the front, its key read already. False if it isn't whole.
bool Skip(uint32_t kind, std::string_view& text) {
  uint64_t size = kind == kFixed64 ? 8 : 4;
  if (kind == kBytes) {
    const std::optional<uint64_t> length = TakeVarint(text);
    if (!length) return false;
    size = *length;
  } else if (kind != kFixed64 && kind != kFixed32) {
    return false;
  }
  if (size > text.size()) return false;
  text.remove_prefix(size);
  return true;
}

}  // namespace

std::string EncodeVersion(double wall_time) {
  std::string out = Begin(wall_time);
  AppendBytes(kFileVersion, kVersion, out);
  return out;
}

std::string Encode(const Event& event) {
  std::string out = Begin(event.wall_time);
  AppendKey(kStep, kVarint, out);
  AppendVarint(static_cast<uint64_t>(event.step), out);
  std::string summary;
  for (const Scalar& scalar : event.scalars) {
    std::string value;
    AppendBytes(kTag, scalar.tag, value);
    AppendKey(kSimpleValue, kFixed32, value);
    AppendLittleEndian(std::bit_cast<uint32_t>(static_cast<float>(scalar.value)), 4, value);
    AppendBytes(kValue, value, summary);
  }
  if (!summary.empty()) AppendBytes(kSummary, summary, out);
  AppendKey(kNumber, kVarint, out);
  AppendVarint(static_cast<uint64_t>(event.number), out);
  return out;
}

bool IsVersion(std::string_view data) {
  constexpr size_t kBehindTime = 9;
  return data.size() > kBehindTime &&
         data.substr(kBehindTime) == EncodeVersion(0).substr(kBehindTime);
}

std::optional<int64_t> NumberOf(std::string_view data) {
  std::optional<int64_t> number;
  while (!data.empty()) {
    const std::optional<uint64_t> key = TakeVarint(data);
    if (!key) return std::nullopt;
    const auto kind = static_cast<uint32_t>(*key & 7);
    if (kind != kVarint) {
      if (!Skip(kind, data)) return std::nullopt;
      continue;
    }
    const std::optional<uint64_t> value = TakeVarint(data);
    if (!value) return std::nullopt;
    if (*key >> 3 == kNumber) number = static_cast<int64_t>(*value);
  }
  return number;
}

}  // namespace graft::server::tensorboard
