#include "common/datasets/dialect.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/utf8.h"

namespace graft::datasets {
namespace {

constexpr std::string_view kDelimiters = ",;\t|";

/// The first record's line or lines: a quoted field may hold line ends.
std::string_view FirstRecord(std::string_view front) {
  bool is_quoted = false;
  for (size_t i = 0; i < front.size(); ++i) {
    if (front[i] == '"') is_quoted = !is_quoted;
    if (front[i] == '\n' && !is_quoted) return front.substr(0, i);
  }
  return front.substr(0, front.find('\n'));
}

/// Splits a record as CSV does, roughly: what only must be known of the header.
std::vector<std::string> Split(std::string_view record, char delimiter) {
  std::vector<std::string> fields(1);
  bool is_quoted = false;
  for (size_t i = 0; i < record.size(); ++i) {
    const char c = record[i];
    std::string& field = fields.back();
    if (is_quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < record.size() && record[i + 1] == '"') {
        field += record[++i];
      } else {
        is_quoted = false;
      }
    } else if (c == delimiter) {
      fields.emplace_back();
    } else if (c == '"' && IsBlank(field)) {
      field.clear();
      is_quoted = true;
    } else if (c != '\r') {
      field += c;
    }
  }
  return fields;
}

bool HasColumns(const std::vector<std::string>& fields, const RecordOptions& options) {
  std::vector<std::string> names = fields;
  if (!options.has_header) {
    for (size_t i = 0; i < names.size(); ++i) names[i] = std::to_string(i + 1);
  }
  const bool has_required = std::all_of(
      options.columns.begin(), options.columns.end(),
      [&](const Column& column) { return !column.is_required || FindColumn(names, column.name); });
  return has_required && HasOneGroup(names, options);
}

/// True if the first lines have one number of fields, and the wanted columns are among them.
bool IsTable(std::string_view front, char delimiter, const RecordOptions& options) {
  constexpr int kLines = 20;
  constexpr size_t kSeenBytes = size_t{64} << 10;
  const bool may_be_cut = front.size() >= kSeenBytes;
  size_t count = 0;
  for (int i = 0; i < kLines && !front.empty(); ++i) {
    const std::string_view line = front.substr(0, front.find('\n'));
    const std::vector<std::string> fields = Split(line, delimiter);
    front.remove_prefix(std::min(line.size() + 1, front.size()));
    if (IsBlank(line) || (front.empty() && may_be_cut)) continue;
    if (!HasColumns(fields, options) || (count > 0 && fields.size() != count)) return false;
    count = fields.size();
  }
  return count > 0;
}

/// The delimiter of a "sep=;" line.
std::optional<char> SepLine(std::string_view line) {
  std::string_view text = line;
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.size() > 2 && text.starts_with('"') && text.ends_with('"'))
    text = text.substr(1, text.size() - 2);
  if (text.size() != 5 || (text.substr(0, 4) != "sep=" && text.substr(0, 4) != "SEP="))
    return std::nullopt;
  return text[4];
}

bool HasBlanksBehind(std::string_view record, char delimiter) {
  size_t count = 0;
  for (size_t at = record.find(delimiter); at != std::string_view::npos;
       at = record.find(delimiter, at + 1)) {
    if (at + 1 >= record.size() || record[at + 1] != ' ') return false;
    ++count;
  }
  return count > 0 && delimiter != ' ';
}

/// Bytes of the white space or invisible characters at the front.
size_t BlankFront(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Code next = FirstCode(text.substr(at));
    if (next.length == 0 || (!IsWhiteSpace(next.code) && !IsInvisible(next.code))) break;
    at += next.length;
  }
  return at;
}

}  // namespace

bool IsBlank(std::string_view text) { return BlankFront(text) == text.size(); }

std::string_view Stripped(std::string_view text) {
  text.remove_prefix(BlankFront(text));
  size_t end = 0;  // Behind the last that is seen.
  for (size_t at = 0; at < text.size();) {
    const size_t blank = BlankFront(text.substr(at));
    if (blank > 0) {
      at += blank;
      continue;
    }
    at += std::max<size_t>(FirstCode(text.substr(at)).length, 1);
    end = at;
  }
  return text.substr(0, end);
}

std::string_view DelimiterName(char delimiter) {
  switch (delimiter) {
    case ';':
      return "semicolons";
    case '\t':
      return "tabs";
    case '|':
      return "pipes";
    default:
      return "commas";
  }
}

bool HasOneGroup(const std::vector<std::string>& names, const RecordOptions& options) {
  const auto has_all = [&](const std::vector<std::string>& group) {
    return std::all_of(group.begin(), group.end(), [&](const std::string& name) {
      return FindColumn(names, name).has_value();
    });
  };
  return options.any_of.empty() ||
         std::any_of(options.any_of.begin(), options.any_of.end(), has_all);
}

std::optional<size_t> FindColumn(const std::vector<std::string>& names, std::string_view wanted) {
  const auto exact = std::find(names.begin(), names.end(), wanted);
  if (exact != names.end()) return static_cast<size_t>(exact - names.begin());
  std::optional<size_t> found;
  for (size_t i = 0; i < names.size(); ++i) {
    if (Stripped(names[i]) != wanted) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

Dialect FindDialect(std::string_view front, const RecordOptions& options) {
  Dialect dialect;
  dialect.delimiter = options.format == Format::kTsv ? '\t' : ',';
  if (const auto delimiter = SepLine(front.substr(0, front.find('\n')))) {
    dialect.has_sep_line = true;
    dialect.delimiter = *delimiter;
    front.remove_prefix(std::min(front.find('\n'), front.size() - 1) + 1);
    dialect.skips_blanks = HasBlanksBehind(FirstRecord(front), dialect.delimiter);
    return dialect;
  }
  const char own = dialect.delimiter;
  if (!options.has_header) {
    // Texts hold commas; tabs, if they divide all lines alike, are no part of a text.
    if (!IsTable(front, own, options) && IsTable(front, '\t', options)) dialect.delimiter = '\t';
    return dialect;
  }
  const std::string_view record = FirstRecord(front);
  size_t most = Split(record, own).size();
  if (!HasColumns(Split(record, own), options)) {
    for (const char delimiter : kDelimiters) {
      if (delimiter == own) continue;
      const std::vector<std::string> fields = Split(record, delimiter);
      if (HasColumns(fields, options)) {
        dialect.delimiter = delimiter;
        break;
      }
      if (fields.size() > most) {
        most = fields.size();
        dialect.delimiter = delimiter;
      }
    }
  }
  dialect.skips_blanks = HasBlanksBehind(record, dialect.delimiter);
  return dialect;
}

}  // namespace graft::datasets
