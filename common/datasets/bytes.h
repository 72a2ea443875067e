#pragma once
/// Where a dataset's bytes come from: a small pull interface and its wrappers.
/// Thread safety: a source is confined to one thread at a time.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::datasets {

/// A stream of bytes, read once from front to back.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// Fills the front of `buffer`, which has `size` > 0 bytes, and returns how many; 0 only at the
  /// end, and then at every further call.
  /// Errors: InvalidArgument with a detail if the bytes themselves are at fault (a torn gzip file,
  /// too much data); any other code if they can't be had (NotFound, Internal, Unavailable ...).
  /// Reading ends there.
  virtual StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

/// Reads `bytes`. Ownership: keeps a view; the caller keeps the bytes.
std::unique_ptr<ByteSource> FromMemory(std::string_view bytes);

/// Opens a regular file.
/// Errors: NotFound; PermissionDenied; InvalidArgument if it isn't a regular file.
StatusOr<std::unique_ptr<ByteSource>> FromFile(const std::filesystem::path& path);

struct GunzipLimits {
  /// Bytes after decompression that one source may give.
  uint64_t max_bytes = uint64_t{4} << 30;
  /// A gzip stream may not have given more than `max_ratio` times what it took, once it gave more
  /// than `ratio_free_bytes`. Text packs 3 to 20 fold, deflate's best is about 1030 fold.
  uint64_t max_ratio = 200;
  uint64_t ratio_free_bytes = uint64_t{16} << 20;
};

/// Gives text whether `source` is gzip or not: gzip is known by its first two bytes (1f 8b, which
/// begin no UTF-8 text) or by a `name` that ends in ".gz". Members one after the other are joined;
/// zero bytes behind the last are ignored. The limit on bytes holds for plain text too.
/// Errors: of Read: InvalidArgument with the reason BAD_GZIP or TOO_LARGE.
/// Source: RFC 1952 (gzip), by zlib.
std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> source, std::string name = {},
                                   const GunzipLimits& limits = {});

/// True if `name` ends in ".gz", in any case.
bool IsGzipName(std::string_view name);

}  // namespace graft::datasets
