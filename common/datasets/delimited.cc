#include "common/datasets/delimited.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/record_faults.h"

namespace graft::datasets {
namespace {

ByteSet Bytes(std::string_view members) {
  ByteSet set{};
  for (const char c : members) set[static_cast<unsigned char>(c)] = true;
  return set;
}

}  // namespace

DelimitedReader::DelimitedReader(std::unique_ptr<ByteSource> source, RecordOptions options)
    : options_(std::move(options)),
      delimiter_(options_.format == Format::kTsv ? '\t' : ','),
      at_delimiter_(Bytes(std::string{delimiter_, '\n'})),
      at_quote_(Bytes("\"")),
      at_tsv_quoted_stop_(Bytes("\"\t")),
      at_newline_(Bytes("\n")),
      window_(std::move(source)) {}

std::optional<size_t> DelimitedReader::LineEnd(size_t offset) {
  const int c = window_.At(offset);
  if (c == '\n') return 1;
  if (c < 0) return 0;
  if (c != '\r') return std::nullopt;
  const int next = window_.At(offset + 1);
  if (next == '\n') return 2;
  if (next < 0) return 1;
  return std::nullopt;
}

void DelimitedReader::TooLong(ErrorDetail& fault) {
  fault = RecordTooLong(row_.line, options_.max_record_bytes);
  if (options_.format == Format::kCsv) {
    fault.message += "; a quote that is opened in it and never closed would explain it";
  }
  broke_off_ = true;
}

void DelimitedReader::SkipLine(size_t offset) {
  // In pieces, so that a line without end takes no memory.
  for (;;) {
    const size_t end = window_.Find(offset, at_newline_, offset + options_.max_record_bytes);
    const int c = window_.At(end);
    window_.Consume(c == '\n' ? end + 1 : end);
    if (c == '\n' || c < 0) return;
    offset = 0;
  }
}

std::optional<size_t> DelimitedReader::CloseCsvQuote(size_t offset, ErrorDetail& fault) {
  const size_t open = offset++;
  for (;;) {
    offset = window_.Find(offset, at_quote_, options_.max_record_bytes);
    if (offset >= options_.max_record_bytes) {
      TooLong(fault);
      return std::nullopt;
    }
    if (window_.At(offset) < 0) {
      const auto before = window_.Slice(0, open);
      const int64_t line = row_.line + std::count(before.begin(), before.end(), '\n');
      fault = {"UNCLOSED_QUOTE",
               {},
               line,
               ColumnName(names_, row_.num_fields),
               "a quote that opens here is never closed; close it, or double each quote inside a "
               "quoted text"};
      window_.Consume(offset);
      broke_off_ = true;
      return std::nullopt;
    }
    if (window_.At(offset + 1) != '"') break;
    offset += 2;
  }
  if (window_.At(offset + 1) == delimiter_ || LineEnd(offset + 1)) return offset;
  const auto before = window_.Slice(0, offset);
  fault = {"BAD_QUOTE",
           {},
           row_.line + std::count(before.begin(), before.end(), '\n'),
           ColumnName(names_, row_.num_fields),
           "text follows a closing quote; double each quote inside a quoted text"};
  SkipLine(offset + 1);
  return std::nullopt;
}

std::optional<size_t> DelimitedReader::CloseTsvQuote(size_t offset) {
  ++offset;
  for (;;) {
    offset = window_.Find(offset, at_tsv_quoted_stop_, options_.max_record_bytes);
    if (offset >= options_.max_record_bytes || window_.At(offset) != '"') return std::nullopt;
    if (window_.At(offset + 1) != '"') break;
    offset += 2;
  }
  if (window_.At(offset + 1) == delimiter_ || LineEnd(offset + 1)) return offset;
  return std::nullopt;
}

DelimitedReader::FieldEnd DelimitedReader::ReadField(size_t& offset, std::string* text,
                                                     ErrorDetail& fault) {
  std::optional<size_t> close;
  if (window_.At(offset) == '"') {
    const bool is_csv = options_.format == Format::kCsv;
    close = is_csv ? CloseCsvQuote(offset, fault) : CloseTsvQuote(offset);
    if (!close && is_csv) return FieldEnd::kFault;
  }
  if (close) {
    std::string_view quoted = window_.Slice(offset + 1, *close - offset - 1);
    if (text != nullptr) {
      text->clear();
      for (size_t quote; (quote = quoted.find('"')) != std::string_view::npos;) {
        text->append(quoted.substr(0, quote + 1));
        quoted.remove_prefix(quote + 2);
      }
      text->append(quoted);
    }
    offset = *close + 1;
  } else {
    size_t end = window_.Find(offset, at_delimiter_, options_.max_record_bytes);
    if (end >= options_.max_record_bytes) {
      TooLong(fault);
      return FieldEnd::kFault;
    }
    const int stop = window_.At(end);
    if (stop != delimiter_ && end > offset && window_.At(end - 1) == '\r') --end;
    if (text != nullptr) text->assign(window_.Slice(offset, end - offset));
    offset = end;
  }
  if (window_.At(offset) == delimiter_) {
    ++offset;
    return FieldEnd::kDelimiter;
  }
  offset += LineEnd(offset).value_or(0);
  return FieldEnd::kLineEnd;
}

StatusOr<ReadStep> DelimitedReader::ReadRow(ErrorDetail& fault) {
  if (!has_begun_) {
    has_begun_ = true;
    if (window_.At(0) == 0xEF && window_.At(1) == 0xBB && window_.At(2) == 0xBF) window_.Consume(3);
  }
  for (;;) {
    const std::optional<size_t> blank = LineEnd(0);
    if (!blank) break;
    window_.Consume(*blank);
    if (window_.At(0) >= 0) continue;
    GRAFT_RETURN_IF_ERROR(window_.status());
    return ReadStep::kEnd;
  }
  row_.line = window_.line();
  row_.num_fields = 0;
  size_t offset = 0;
  for (FieldEnd end = FieldEnd::kDelimiter; end != FieldEnd::kLineEnd;) {
    std::string* text = nullptr;
    if (row_.num_fields < kMaxFields) {
      if (row_.fields.size() <= row_.num_fields) row_.fields.emplace_back();
      text = &row_.fields[row_.num_fields];
    }
    end = ReadField(offset, text, fault);
    // A source that failed looks like the end of data until here.
    if (!window_.status().ok() && window_.At(offset) < 0) return window_.status();
    if (end == FieldEnd::kFault) return ReadStep::kFault;
    ++row_.num_fields;
  }
  window_.Consume(offset);
  return ReadStep::kRecord;
}

StatusOr<ReadStep> DelimitedReader::ReadHeader(ErrorDetail& fault) {
  GRAFT_ASSIGN_OR_RETURN(const ReadStep step, ReadRow(fault));
  if (step == ReadStep::kEnd) {
    fault = {"EMPTY_FILE", {}, 0, {}, "the file is empty"};
    return ReadStep::kFault;
  }
  if (step == ReadStep::kFault) return step;
  if (row_.num_fields > kMaxFields) {
    fault = {
        "TOO_MANY_COLUMNS",
        {},
        row_.line,
        {},
        std::to_string(row_.num_fields) + " columns; the limit is " + std::to_string(kMaxFields)};
    return ReadStep::kFault;
  }
  if (!options_.has_header) {
    for (size_t i = 1; i <= row_.num_fields; ++i) names_.push_back(std::to_string(i));
    has_pending_row_ = true;
    return FindColumns(row_.line, fault);
  }
  const auto begin = row_.fields.begin();
  std::vector<std::string> names(begin, begin + static_cast<ptrdiff_t>(row_.num_fields));
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (std::optional<ErrorDetail> bad = CheckUtf8(name, row_.line, "")) {
      fault = *std::move(bad);
      return ReadStep::kFault;
    }
    // Spreadsheets and pandas write an index column without a name; nothing can ask for that one.
    if (!name.empty() && !seen.insert(name).second) {
      fault = {"DUPLICATE_COLUMN",
               {},
               row_.line,
               Printable(name),
               "the header names the column " + Quoted(name) + " twice; rename one"};
      return ReadStep::kFault;
    }
  }
  names_ = std::move(names);
  return FindColumns(row_.line, fault);
}

ReadStep DelimitedReader::FindColumns(int64_t header_line, ErrorDetail& fault) {
  for (const Column& column : options_.columns) {
    const auto at = std::find(names_.begin(), names_.end(), column.name);
    if (at != names_.end()) {
      indices_.emplace_back(static_cast<size_t>(at - names_.begin()));
    } else if (column.is_required) {
      fault = MissingColumn(column.name, names_, header_line);
      if (!options_.has_header) {
        fault.message += " (the file is read without a header, so columns are named by number)";
      } else if (std::any_of(names_.begin(), names_.end(), [](const std::string& name) {
                   return name.find('\r') != std::string::npos;
                 })) {
        fault.message += "; its lines end with a bare CR, convert them to LF";
      } else {
        fault.message += "; a file without a header needs has_header=false and columns 1, 2, ...";
      }
      return ReadStep::kFault;
    } else {
      indices_.emplace_back(std::nullopt);
    }
  }
  return ReadStep::kRecord;
}

ReadStep DelimitedReader::ToRecord(Record& record, ErrorDetail& fault) {
  if (row_.num_fields != names_.size()) {
    const std::string found = std::to_string(row_.num_fields);
    const std::string expected = std::to_string(names_.size());
    fault = {"FIELD_COUNT",
             {},
             row_.line,
             {},
             found + (row_.num_fields == 1 ? " field" : " fields") + " where the " +
                 (options_.has_header ? "header" : "first line") + " has " + expected +
                 (options_.format == Format::kCsv
                      ? "; put a text that holds a comma in double quotes"
                      : "; a tab can't stand inside a text, use CSV for that")};
    return ReadStep::kFault;
  }
  for (size_t i = 0; i < row_.num_fields; ++i) {
    if (std::optional<ErrorDetail> bad = CheckUtf8(row_.fields[i], row_.line, names_[i])) {
      fault = *std::move(bad);
      return ReadStep::kFault;
    }
  }
  record.line = row_.line;
  record.values.resize(indices_.size());
  for (size_t i = 0; i < indices_.size(); ++i) {
    record.values[i].is_present = indices_[i].has_value();
    record.values[i].text.clear();
    if (indices_[i]) std::swap(record.values[i].text, row_.fields[*indices_[i]]);
  }
  return ReadStep::kRecord;
}

StatusOr<ReadStep> DelimitedReader::Next(Record& record, ErrorDetail& fault) {
  if (broke_off_) return ReadStep::kEnd;
  if (!has_columns_) {
    has_columns_ = true;
    GRAFT_ASSIGN_OR_RETURN(const ReadStep step, ReadHeader(fault));
    if (step != ReadStep::kRecord) {
      broke_off_ = true;
      return step;
    }
  }
  if (!has_pending_row_) {
    GRAFT_ASSIGN_OR_RETURN(const ReadStep step, ReadRow(fault));
    if (step != ReadStep::kRecord) return step;
  }
  has_pending_row_ = false;
  return ToRecord(record, fault);
}

}  // namespace graft::datasets
