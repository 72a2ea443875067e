#pragma once
/// Physical lines of a byte source.

#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/datasets/bytes.h"

namespace graft::datasets {

/// Thread safety: confined to one thread.
class LineReader {
 public:
  LineReader(std::unique_ptr<ByteSource> source, size_t max_line_bytes)
      : source_(std::move(source)), max_line_bytes_(max_line_bytes), buffer_(1 << 16, '\0') {}

  /// Reads one line without its newline (LF; a CR before it stays). False at the end. `truncated` tells that the line was
  /// over the limit and its rest was skipped.
  StatusOr<bool> Next(std::string* line, bool* truncated);
  int64_t line_number() const { return line_number_; }  ///< Of the line last read, from 1.

 private:
  std::unique_ptr<ByteSource> source_;
  const size_t max_line_bytes_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;
  int64_t line_number_ = 0;
};

}  // namespace graft::datasets
