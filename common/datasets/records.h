#pragma once
/// CSV, TSV and JSON Lines as one stream of records. Stands on window.h; ingest.h stands on it.
/// Thread safety: a reader is confined to one thread.
///
/// CSV is RFC 4180: a field that begins with a quote runs to the matching quote, over line ends and
/// commas; a doubled quote is one quote. Beyond the RFC: lines end with LF or CRLF; a quote inside
/// a field that doesn't begin with one is data; another delimiter than the comma is recognised (see
/// dialect.h); blanks around a quoted field are skipped, and behind each delimiter if the header
/// has them everywhere; what a row has beyond its header is ignored if it is empty.
///
/// TSV knows two habits, told apart field by field. Plain TSV has no quoting, so a quote is data. A
/// field is quoted, as CSV writers do it, only if it begins with a quote and the quote that closes
/// it comes before any tab and is followed by a tab or a line end; so quoted line ends work, and a
/// stray quote spoils nothing. A TSV text can't hold a tab.
///
/// JSON Lines is one object a line, with a comma behind it or not; a file that begins with a
/// bracket is one JSON array of such objects, laid out as it may be. A string, number or boolean is
/// a value (a whole number as digits, whatever its JSON form: 1.0 is "1"; true is "true"), null is
/// no value.
///
/// In all three, blank lines are skipped, and text must be UTF-8 (or UTF-16, see decode.h) without
/// zero bytes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/bytes.h"

namespace graft::datasets {

enum class Format {
  kCsv,    ///< Comma.
  kTsv,    ///< Tab.
  kJsonl,  ///< One object a line, or an array of them.
};

/// Tells a file's format: `explicit_format` ("csv", "tsv", "jsonl" or "json") if it isn't empty,
/// else the end of `name`: .csv, .tsv (.tab), .jsonl (.ndjson, .json-lines, .json), each also with
/// .gz. Both in any case. Errors: InvalidArgument that says which there are.
StatusOr<Format> FormatOf(std::string_view name, std::string_view explicit_format);

struct Column {
  std::string name;
  /// False: a file or line without it isn't at fault; its value is then absent.
  bool is_required = true;
  /// Its value may be a list or an object: the text is then its JSON, compact and with its keys in
  /// order.
  bool is_json = false;
};

struct RecordOptions {
  Format format = Format::kCsv;
  /// CSV and TSV: the first record names the columns. Without one they are "1", "2", ...
  bool has_header = true;
  /// What Next gives, in this order.
  std::vector<Column> columns;
  /// Groups of column names, all of one of which the header, or the first object, must have; none
  /// is no demand.
  std::vector<std::vector<std::string>> any_of = {};
  /// Of one record with its quotes and line ends. A longer one is a fault.
  size_t max_record_bytes = size_t{16} << 20;
};

struct Value {
  bool is_present = false;  ///< False: the column isn't there, or it is JSON's null.
  std::string text;         ///< UTF-8.
};

struct Record {
  int64_t line = 0;           ///< 1-based physical line where it begins.
  std::vector<Value> values;  ///< One for each of RecordOptions::columns.
};

enum class ReadStep {
  kRecord,  ///< `record` is set.
  kFault,   ///< `fault` says what is wrong with some line; reading may go on.
  kEnd,     ///< No more.
};

/// Rows of nothing but delimiters, as spreadsheets leave them behind their last line.
struct EmptyRows {
  int64_t count = 0;
  int64_t first_line = 0;
};

/// Reads records one by one.
class RecordReader {
 public:
  virtual ~RecordReader() = default;

  /// Gives the next record, or the next fault (reason, line, column and message; `field` is the
  /// caller's). After a fault the next call goes on behind it, or says kEnd where there is no way
  /// on (a missing column, an unclosed quote, a CSV record too long); then broke_off() is true.
  /// Reasons: EMPTY_FILE, ZERO_BYTE, COLUMN_MISSING, DUPLICATE_COLUMN, TOO_MANY_COLUMNS,
  /// FIELD_COUNT, UNCLOSED_QUOTE, BAD_QUOTE, RECORD_TOO_LONG, BAD_UTF8, BAD_JSON, WRONG_TYPE.
  /// Errors: those of the source, among them InvalidArgument for a torn gzip file.
  virtual StatusOr<ReadStep> Next(Record& record, ErrorDetail& fault) = 0;

  /// True once a fault ended reading before the end of the data.
  virtual bool broke_off() const = 0;

  /// Physical line that reading has come to.
  virtual int64_t line() const = 0;

  /// What was skipped so far, though it isn't blank.
  virtual EmptyRows empty_rows() const { return {}; }
};

/// Ownership: takes `source`, whose bytes are unpacked (see Gunzip); it goes through DecodeText.
std::unique_ptr<RecordReader> NewRecordReader(std::unique_ptr<ByteSource> source,
                                              RecordOptions options);

}  // namespace graft::datasets
