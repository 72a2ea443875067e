#pragma once
/// The safetensors format: read with every check of the reference implementation, written byte for
/// byte as it writes. Source: huggingface/safetensors, README (format) and
/// safetensors/src/tensor.rs (checks and order).
///   u64 little-endian N | N bytes of JSON | data
/// Thread safety: free functions and const values.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::safetensors {

/// In the order that the reference writer sorts by (descending here means wider first).
enum class DType {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64
};

std::string_view DTypeName(DType dtype);  ///< "F32"
int64_t DTypeBits(DType dtype);
StatusOr<DType> ParseDType(std::string_view name);  ///< InvalidArgument for an unknown name.

/// What a file says of a tensor.
struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;   ///< Empty: a scalar. A 0 makes an empty tensor.
  uint64_t begin = 0, end = 0;  ///< Of its data, in bytes from the file's front.
  uint64_t size() const { return end - begin; }
};

/// A tensor inside a file. Borrows from the file's bytes.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  ///< Empty: a scalar. A 0 makes an empty tensor.
  std::string_view data;       ///< Row-major, little-endian; only 8-byte aligned.
};

/// A parsed file over bytes that must outlive it.
class View {
 public:
  /// `what` names the file in errors.
  /// Errors: InvalidArgument for a pickle or zip file and for a malformed header; DataLoss if the
  /// bytes are cut or too many. Nothing is trusted: header size, JSON depth, counts, ranks, names,
  /// shapes, offsets, overlaps, holes.
  static StatusOr<View> Parse(std::string_view bytes, std::string_view what);

  const std::vector<TensorView>& tensors() const { return tensors_; }  ///< In offset order.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorView* Find(std::string_view name) const;

 private:
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A file that stays open and is read tensor by tensor. It is never mapped: whoever cuts or
/// overwrites it meanwhile causes an error here, not a signal. Thread safety: const after Open.
class File {
 public:
  /// Reads the header. Errors: NotFound, PermissionDenied; as View::Parse.
  static StatusOr<std::shared_ptr<const File>> Open(const std::filesystem::path& path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  ///< In offset order.
  const std::filesystem::path& path() const { return path_; }
  /// "size, times, inode" as they were at Open.
  const std::string& stamp() const { return stamp_; }

  /// A tensor's bytes as the file has them now. Errors: DataLoss if it ends before them; Internal
  /// if the disk fails.
  StatusOr<std::string> Read(const TensorInfo& tensor) const;
  /// The same in pieces of up to 1 MiB, in order.
  Status ReadPieces(const TensorInfo& tensor,
                    const std::function<void(std::string_view)>& take) const;
  /// Unavailable if the file was written to, or the path names another one, since Open: what was
  /// read may be half of the old and half of the new.
  Status CheckUnchanged() const;

 private:
  File() = default;
  Status ReadAt(uint64_t offset, char* to, size_t size) const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::string stamp_;
  std::vector<TensorInfo> tensors_;
};

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string_view data;  ///< Borrowed for the call.
};

/// Serializes tensors: wider types first, then by name; metadata {"format":"pt"} plus `metadata`;
/// header padded with spaces to a multiple of 8. Equal inputs give equal bytes. Errors:
/// InvalidArgument if a name stands twice, is empty, over 4,096 bytes or not UTF-8, or data doesn't
/// fit the
///            shape: what View::Parse would refuse is never written.
StatusOr<std::string> Write(std::vector<TensorToWrite> tensors,
                            const std::map<std::string, std::string>& metadata = {});

}  // namespace graft::safetensors
