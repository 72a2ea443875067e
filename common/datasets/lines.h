#pragma once
/// A file or stream of lines, a text each: what the client reads from its standard input. Lines are
/// as they are in data files: they end with LF, CRLF or, in a text without LF, CR; a byte order
/// mark is dropped; UTF-16 is decoded.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/bytes.h"

namespace graft::datasets {

struct Line {
  int64_t number = 0;  ///< 1-based.
  std::string text;    ///< UTF-8, without its line end, not blank.
};

/// Reads all lines. Blank ones at the end are dropped.
/// Errors: InvalidArgument that names the line if one is blank, isn't UTF-8 or holds a zero byte,
/// so that what comes out answers line by line to what went in; those of the source and of
/// DecodeText.
StatusOr<std::vector<Line>> ReadLines(std::unique_ptr<ByteSource> source);

}  // namespace graft::datasets
