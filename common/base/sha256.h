#pragma once
/// SHA-256, for naming things by their content. Own code because common/ also builds where OpenSSL
/// is absent. Source: FIPS 180-4.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace graft {

/// Thread safety: confined to one thread.
class Sha256 {
 public:
  Sha256();
  void Update(const void* data, size_t size);
  void Update(std::string_view bytes) { Update(bytes.data(), bytes.size()); }
  /// Returns the digest as 64 lower-case hex digits. Requires: called once, last.
  std::string HexDigest();

 private:
  void Compress(const uint8_t* block, size_t num_blocks);

  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> buffer_{};
  size_t buffered_ = 0;
  uint64_t total_ = 0;
};

std::string Sha256Hex(std::string_view bytes);

/// True for exactly 64 lower-case hex digits.
bool IsSha256Hex(std::string_view text);

}  // namespace graft
