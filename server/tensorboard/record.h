#pragma once
/// TFRecord's frames around the parts of a file. Pure.
/// Source: TensorFlow's lib/io/record_writer.h: length u64, its masked CRC-32C u32, the bytes,
/// their masked CRC-32C u32; little endian.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace graft::server::tensorboard {

/// The frame with `data` in it.
std::string Framed(std::string_view data);

/// The data of the frame that begins at `offset`, which moves behind it. Nothing, and `offset`
/// stays, if there is no whole frame with the right checksums.
std::optional<std::string_view> NextRecord(std::string_view text, size_t& offset);

/// Appends the lowest `bytes` bytes of `value`, the lowest first.
void AppendLittleEndian(uint64_t value, int bytes, std::string& out);
/// Reads what AppendLittleEndian wrote. Requires: `text` has that many bytes.
uint64_t ReadLittleEndian(std::string_view text, int bytes);

}  // namespace graft::server::tensorboard
