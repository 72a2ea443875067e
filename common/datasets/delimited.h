#pragma once
/// CSV and TSV split into rows of fields; the rules are records.h's. RecordReader for both.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/datasets/dialect.h"
#include "common/datasets/records.h"
#include "common/datasets/window.h"

namespace graft::datasets {

class DelimitedReader : public RecordReader {
 public:
  DelimitedReader(std::unique_ptr<ByteSource> source, RecordOptions options);

  StatusOr<ReadStep> Next(Record& record, ErrorDetail& fault) override;
  bool broke_off() const override { return broke_off_; }
  int64_t line() const override { return window_.line(); }
  EmptyRows empty_rows() const override { return empty_rows_; }

 private:
  /// Rows with more fields are at fault; what lies beyond isn't kept.
  static constexpr size_t kMaxFields = 4096;

  struct Row {
    int64_t line = 0;
    size_t num_fields = 0;            ///< Also those beyond kMaxFields.
    std::vector<std::string> fields;  ///< The first min(num_fields, kMaxFields) count.
  };
  enum class FieldEnd { kDelimiter, kLineEnd, kFault };

  /// Looks at the first lines and learns how the file is written.
  void Begin();
  /// Consumes the blank lines at the position.
  void SkipBlankLines();
  /// Fills row_, skipping blank lines and rows without any value.
  StatusOr<ReadStep> ReadRow(ErrorDetail& fault);
  StatusOr<ReadStep> ReadFields(ErrorDetail& fault);
  bool IsEmptyRow() const;
  FieldEnd ReadField(size_t& offset, std::string* text, ErrorDetail& fault);
  /// Offset of the closing quote, or nullopt with `fault` set (CSV) or if it isn't quoted (TSV).
  std::optional<size_t> CloseCsvQuote(size_t offset, ErrorDetail& fault);
  std::optional<size_t> CloseTsvQuote(size_t offset);
  /// Where the field at `offset` begins behind blanks that belong to the layout; `offset` if they
  /// are data.
  size_t SkipBlanks(size_t offset);
  /// True if the quoted field that begins at `offset` ends on the same line.
  bool ClosesOnItsLine(size_t offset);
  /// Behind the spaces at `offset`.
  size_t PastSpaces(size_t offset);
  /// Length of the line end at `offset` (LF, CRLF, CR before the end of data, end of data: 0);
  /// nullopt if there is none.
  std::optional<size_t> LineEnd(size_t offset);
  /// A row can't be this long. Ends reading, since where the next begins is unknown.
  void TooLong(ErrorDetail& fault);
  void SkipLine(size_t offset);

  StatusOr<ReadStep> ReadHeader(ErrorDetail& fault);
  /// Finds the wanted columns among names_.
  ReadStep FindColumns(int64_t header_line, ErrorDetail& fault);
  /// Moves the wanted fields of row_ over.
  ReadStep ToRecord(Record& record, ErrorDetail& fault);

  const RecordOptions options_;
  Dialect dialect_;
  bool looks_like_json_ = false;
  bool is_tsv_ = false;  ///< By its delimiter: TSV's habits of quoting.
  ByteSet at_delimiter_{}, at_quote_{}, at_quote_or_newline_{}, at_tsv_quoted_stop_{},
      at_newline_{};
  Window window_;
  Row row_;
  EmptyRows empty_rows_;
  bool has_begun_ = false, has_columns_ = false, has_pending_row_ = false, broke_off_ = false;
  std::vector<std::string> names_;
  std::vector<std::optional<size_t>> indices_;  ///< Of options_.columns in names_.
};

}  // namespace graft::datasets
