#pragma once
/// CRC-32C, which zlib doesn't have. Pure.
/// Source: RFC 3720 appendix B.4 (Castagnoli's polynomial, reflected); the mask is TFRecord's.

#include <cstdint>
#include <string_view>

namespace graft::server::tensorboard {

uint32_t Crc32c(std::string_view bytes);
/// As records keep it, so that a checksum of bytes that hold checksums is one too.
uint32_t MaskedCrc32c(std::string_view bytes);

}  // namespace graft::server::tensorboard
