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

/// An object or an array of them; no header begins so.
bool LooksLikeJson(std::string_view front) {
  if (front.starts_with('[')) front.remove_prefix(std::min(front.find('{'), front.size()));
  if (!front.starts_with('{')) return false;
  const size_t next = front.find_first_not_of(" \t\r\n", 1);
  return next != std::string_view::npos && front[next] == '"';
}

}  // namespace

DelimitedReader::DelimitedReader(std::unique_ptr<ByteSource> source, RecordOptions options)
    : options_(std::move(options)),
      at_quote_(Bytes("\"")),
      at_quote_or_newline_(Bytes("\"\n")),
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
  if (!is_tsv_) {
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
  const size_t behind = PastSpaces(offset + 1);
  if (window_.At(behind) == dialect_.delimiter || LineEnd(behind)) return offset;
  const auto before = window_.Slice(0, offset);
  const bool is_escaped = before.ends_with('\\');
  fault = {"BAD_QUOTE",
           {},
           row_.line + std::count(before.begin(), before.end(), '\n'),
           ColumnName(names_, row_.num_fields),
           std::string("text follows a closing quote; double each quote inside a quoted text") +
               (is_escaped ? " instead of putting a backslash before it" : "")};
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
  if (window_.At(offset + 1) == dialect_.delimiter || LineEnd(offset + 1)) return offset;
  return std::nullopt;
}

size_t DelimitedReader::PastSpaces(size_t offset) {
  while (offset < options_.max_record_bytes && window_.At(offset) == ' ') ++offset;
  return offset;
}

bool DelimitedReader::ClosesOnItsLine(size_t offset) {
  ++offset;
  for (;;) {
    offset = window_.Find(offset, at_quote_or_newline_, options_.max_record_bytes);
    if (window_.At(offset) != '"') return false;
    if (window_.At(offset + 1) != '"') break;
    offset += 2;
  }
  const size_t behind = PastSpaces(offset + 1);
  return window_.At(behind) == dialect_.delimiter || LineEnd(behind).has_value();
}

size_t DelimitedReader::SkipBlanks(size_t offset) {
  if (window_.At(offset) != ' ') return offset;
  const size_t begin = PastSpaces(offset);
  if (dialect_.skips_blanks) return begin;
  const bool is_quoted = !is_tsv_ && window_.At(begin) == '"' && ClosesOnItsLine(begin);
  return is_quoted ? begin : offset;
}

DelimitedReader::FieldEnd DelimitedReader::ReadField(size_t& offset, std::string* text,
                                                     ErrorDetail& fault) {
  std::optional<size_t> close;
  offset = SkipBlanks(offset);
  if (window_.At(offset) == '"') {
    close = is_tsv_ ? CloseTsvQuote(offset) : CloseCsvQuote(offset, fault);
    if (!close && !is_tsv_) return FieldEnd::kFault;
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
    offset = is_tsv_ ? *close + 1 : PastSpaces(*close + 1);
  } else {
    size_t end = window_.Find(offset, at_delimiter_, options_.max_record_bytes);
    if (end >= options_.max_record_bytes) {
      TooLong(fault);
      return FieldEnd::kFault;
    }
    const int stop = window_.At(end);
    if (stop != dialect_.delimiter && end > offset && window_.At(end - 1) == '\r') --end;
    if (text != nullptr) text->assign(window_.Slice(offset, end - offset));
    offset = end;
  }
  if (window_.At(offset) == dialect_.delimiter) {
    ++offset;
    return FieldEnd::kDelimiter;
  }
  offset += LineEnd(offset).value_or(0);
  return FieldEnd::kLineEnd;
}

void DelimitedReader::SkipBlankLines() {
  while (window_.At(0) >= 0) {
    const std::optional<size_t> blank = LineEnd(0);
    if (!blank) return;
    window_.Consume(*blank);
  }
}

void DelimitedReader::Begin() {
  constexpr size_t kFrontBytes = size_t{64} << 10;
  SkipBlankLines();
  window_.At(kFrontBytes - 1);
  const std::string_view front = window_.Front(kFrontBytes);
  looks_like_json_ = LooksLikeJson(front);
  dialect_ = FindDialect(front, options_);
  if (dialect_.has_sep_line) SkipLine(0);
  is_tsv_ = dialect_.delimiter == '\t';
  at_delimiter_ = Bytes(std::string{dialect_.delimiter, '\n'});
}

bool DelimitedReader::IsEmptyRow() const {
  if (row_.num_fields > row_.fields.size()) return false;
  // In a table of one column, blanks are a value that is at fault.
  if (row_.num_fields < 2 && !names_.empty() && names_.size() < 2) return false;
  const auto end = row_.fields.begin() + static_cast<ptrdiff_t>(row_.num_fields);
  return std::all_of(row_.fields.begin(), end, IsBlank);
}

StatusOr<ReadStep> DelimitedReader::ReadRow(ErrorDetail& fault) {
  if (!std::exchange(has_begun_, true)) Begin();
  for (;;) {
    SkipBlankLines();
    if (window_.At(0) < 0) {
      GRAFT_RETURN_IF_ERROR(window_.status());
      return ReadStep::kEnd;
    }
    GRAFT_ASSIGN_OR_RETURN(const ReadStep step, ReadFields(fault));
    if (step != ReadStep::kRecord || !IsEmptyRow()) return step;
    if (empty_rows_.count++ == 0) empty_rows_.first_line = row_.line;
  }
}

StatusOr<ReadStep> DelimitedReader::ReadFields(ErrorDetail& fault) {
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
    // A source that failed looks like the end of data until here; a row with its line end is whole.
    const bool is_whole = end == FieldEnd::kLineEnd && offset > 0 && window_.At(offset - 1) == '\n';
    if (!is_whole && !window_.status().ok() && window_.At(offset) < 0) return window_.status();
    if (end == FieldEnd::kFault) return ReadStep::kFault;
    ++row_.num_fields;
  }
  window_.Consume(offset);
  return ReadStep::kRecord;
}

StatusOr<ReadStep> DelimitedReader::ReadHeader(ErrorDetail& fault) {
  GRAFT_ASSIGN_OR_RETURN(const ReadStep step, ReadRow(fault));
  if (looks_like_json_ && options_.has_header) {
    fault = {"COLUMN_MISSING",
             {},
             1,
             {},
             "the file looks like JSON, not like CSV or TSV; say format jsonl, or name it .jsonl"};
    return ReadStep::kFault;
  }
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
  if (!HasOneGroup(names_, options_)) {
    fault = MissingColumns(options_.any_of, names_, header_line);
    return ReadStep::kFault;
  }
  for (const Column& column : options_.columns) {
    if (const auto at = FindColumn(names_, column.name)) {
      indices_.emplace_back(*at);
      continue;
    }
    if (!column.is_required) {
      indices_.emplace_back(std::nullopt);
      continue;
    }
    fault = MissingColumn(column.name, names_, header_line);
    const std::string_view first = Stripped(row_.fields.front());
    if (!options_.has_header) {
      fault.message += " (the file is read without a header, so columns are named by number)";
      if (names_.size() == 1 && first.find(';') != std::string_view::npos)
        fault.message += "; if semicolons separate its fields, give it a header, or write commas";
    } else if (first.starts_with('#')) {
      fault.message +=
          "; the line begins with #: take comments out, so that the header comes first";
    } else {
      fault.message +=
          "; a file without a header needs has_header=false (--no-header) and columns 1, 2, ...";
    }
    return ReadStep::kFault;
  }
  return ReadStep::kRecord;
}

ReadStep DelimitedReader::ToRecord(Record& record, ErrorDetail& fault) {
  while (row_.num_fields > names_.size() && row_.num_fields <= row_.fields.size() &&
         IsBlank(row_.fields[row_.num_fields - 1])) {
    --row_.num_fields;
  }
  // A delimiter at the header's end names no column; rows may have it or not.
  size_t least = names_.size();
  while (least > 1 && IsBlank(names_[least - 1])) --least;
  if (row_.num_fields < least || row_.num_fields > names_.size()) {
    const std::string found = std::to_string(row_.num_fields);
    const std::string expected = std::to_string(names_.size());
    fault = {"FIELD_COUNT",
             {},
             row_.line,
             {},
             found + (row_.num_fields == 1 ? " field" : " fields") + " where the " +
                 (options_.has_header ? "header" : "first line") + " has " + expected +
                 (is_tsv_ ? "; a tab can't stand inside a text, use CSV for that"
                          : "; put a text that holds the separator (" +
                                std::string(DelimiterName(dialect_.delimiter)) +
                                " here) in double quotes")};
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
