#include "server/tensorboard/record.h"

#include "server/tensorboard/crc32c.h"

namespace graft::server::tensorboard {
namespace {

constexpr size_t kLengthBytes = 8, kCrcBytes = 4, kHeaderBytes = kLengthBytes + kCrcBytes;

bool HasCrc(std::string_view data, std::string_view crc) {
  return MaskedCrc32c(data) == ReadLittleEndian(crc, kCrcBytes);
}

}  // namespace

void AppendLittleEndian(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

uint64_t ReadLittleEndian(std::string_view text, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= uint64_t{static_cast<uint8_t>(text[static_cast<size_t>(i)])} << (8 * i);
  return value;
}

std::string Framed(std::string_view data) {
  std::string frame;
  AppendLittleEndian(data.size(), kLengthBytes, frame);
  AppendLittleEndian(MaskedCrc32c(frame), kCrcBytes, frame);
  frame += data;
  AppendLittleEndian(MaskedCrc32c(data), kCrcBytes, frame);
  return frame;
}

std::optional<std::string_view> NextRecord(std::string_view text, size_t& offset) {
  const std::string_view rest = text.substr(offset);
  if (rest.size() < kHeaderBytes + kCrcBytes) return std::nullopt;
  const std::string_view length = rest.substr(0, kLengthBytes);
  if (!HasCrc(length, rest.substr(kLengthBytes))) return std::nullopt;
  const uint64_t size = ReadLittleEndian(length, kLengthBytes);
  if (size > rest.size() - kHeaderBytes - kCrcBytes) return std::nullopt;
  const std::string_view data = rest.substr(kHeaderBytes, size);
  if (!HasCrc(data, rest.substr(kHeaderBytes + size))) return std::nullopt;
  offset += kHeaderBytes + size + kCrcBytes;
  return data;
}

}  // namespace graft::server::tensorboard
