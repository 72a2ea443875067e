#pragma once
/// SHA-256, for naming things by their content. Own code because common/ also builds where OpenSSL
/// is absent.
/// Source: FIPS 180-4.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace graft {

/// Which code computes a hash; all give the same. The choice is for tests.
enum class Sha256Code {
  kFastest,  ///< The processor's own SHA instructions where it has them.
  kPortable
};

/// Thread safety: confined to one thread.
class Sha256 {
 public:
  explicit Sha256(Sha256Code code = Sha256Code::kFastest);
  void Update(const void* data, size_t size);
  void Update(std::string_view bytes) { Update(bytes.data(), bytes.size()); }
  /// Returns the digest as 64 lower-case hex digits. Requires: called once, last.
  std::string HexDigest();

 private:
  using CompressFunction = void (*)(std::array<uint32_t, 8>&, const uint8_t*, size_t num_blocks);

  CompressFunction compress_;
  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> buffer_{};
  size_t buffered_ = 0;
  uint64_t total_ = 0;
};

std::string Sha256Hex(std::string_view bytes);

/// True for exactly 64 lower-case hex digits.
bool IsSha256Hex(std::string_view text);

}  // namespace graft
