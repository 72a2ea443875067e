#pragma once
/// Records of CSV, TSV and JSONL, one at a time, each with the line it begins on.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/bytes.h"

namespace graft::datasets {

enum class Format { kCsv, kTsv, kJsonl };

/// From a name: .csv, .tsv (.tab), .jsonl (.ndjson), each also behind .gz. `explicit_format` ("csv", ...) wins.
/// Errors:    InvalidArgument if neither tells.
StatusOr<Format> FormatOf(std::string_view name, std::string_view explicit_format);

/// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

/// One record: the wanted columns' values, in their order. A missing JSON key or a null is nullopt.
struct Record {
  int64_t line = 0;
  std::vector<std::optional<std::string>> values;
};

/// A fault of one record; reading goes on behind it unless `fatal`.
struct RecordFault {
  ErrorDetail detail;
  bool fatal = false;
};

struct ReaderOptions {
  Format format = Format::kCsv;
  bool has_header = true;               ///< CSV and TSV; without one, columns are "1", "2", ...
  std::vector<std::string> columns;     ///< The wanted ones.
  size_t max_record_bytes = 16 << 20;
};

/// CSV as RFC 4180: quoted fields may hold separators, newlines and doubled quotes; CRLF or LF; a BOM is dropped. TSV
/// the same with tabs, but a quote counts only if it opens a field that a quote also closes at its line's end or before
/// a tab: stray quotes are text, as most TSV writers mean them. JSONL: one object a line; strings, numbers and booleans
/// are values.
/// Thread safety: confined to one thread.
class RecordReader {
 public:
  /// Reads the header.
  /// Errors:    InvalidArgument with reason EMPTY_FILE, COLUMN_MISSING (listing the columns there are), DUPLICATE_COLUMN,
  ///            BAD_UTF8, UNCLOSED_QUOTE; whatever the source says.
  static StatusOr<std::unique_ptr<RecordReader>> Open(std::unique_ptr<ByteSource> source, ReaderOptions options);
  virtual ~RecordReader() = default;
  /// The next record, or a fault of it in `fault`, or neither at the end.
  /// Errors:    whatever the source says (a cut gzip file, an unreadable disk).
  virtual StatusOr<std::optional<Record>> Next(std::optional<RecordFault>* fault) = 0;
};

}  // namespace graft::datasets
