#pragma once
/// Bytes that are pulled: from memory, from a file, through gzip. Bounded.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::datasets {

/// Port. Thread safety: confined to one thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills up to `size` bytes; returns how many, 0 only at the end.
  virtual StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

/// Borrows `bytes`.
std::unique_ptr<ByteSource> FromMemory(std::string_view bytes);

/// Errors:    NotFound, PermissionDenied; InvalidArgument if it isn't a regular file.
StatusOr<std::unique_ptr<ByteSource>> FromFile(const std::filesystem::path& path);

/// Looks through gzip (one or more members) if the bytes begin as gzip does, else passes them on.
/// Errors of Read: InvalidArgument if the stream is corrupt or ends early, or if more than `max_bytes` come out of it.
std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> source, uint64_t max_bytes = uint64_t{16} << 30);

}  // namespace graft::datasets
