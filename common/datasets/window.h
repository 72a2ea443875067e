#pragma once
/// A view of the next bytes of a source that grows on demand; what both record readers stand on.
/// Thread safety: confined to one thread.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/datasets/bytes.h"

namespace graft::datasets {

/// A set of bytes to stop at.
using ByteSet = std::array<bool, 256>;

class Window {
 public:
  explicit Window(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  /// The byte `offset` behind the position; -1 past the end of the data or after an error.
  int At(size_t offset) {
    if (offset >= data_.size() - begin_ && !FillTo(offset)) return -1;
    return static_cast<unsigned char>(data_[begin_ + offset]);
  }

  /// Returns the first offset in [offset, limit) whose byte is in `stop`; else `limit`, or where
  /// the data ends if that is before (At() gives -1 there).
  size_t Find(size_t offset, const ByteSet& stop, size_t limit);

  /// `size` bytes from `offset` on. Requires: they were seen by At or Find.
  /// Ownership: valid until the next non-const call.
  std::string_view Slice(size_t offset, size_t size) const {
    return std::string_view(data_).substr(begin_ + offset, size);
  }

  /// What has been seen from the position on, at most `size` bytes. Ownership: as Slice.
  std::string_view Front(size_t size) const { return std::string_view(data_).substr(begin_, size); }

  /// Moves the position. Requires: the bytes were seen.
  void Consume(size_t size);

  /// 1-based physical line of the position; lines end with LF.
  int64_t line() const { return line_; }

  /// Why the source failed; OK while it didn't.
  const Status& status() const { return status_; }

 private:
  bool FillTo(size_t offset);

  const std::unique_ptr<ByteSource> source_;
  std::string data_;
  size_t begin_ = 0;
  int64_t line_ = 1;
  bool at_end_ = false;
  Status status_;
};

}  // namespace graft::datasets
