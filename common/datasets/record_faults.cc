#include "common/datasets/record_faults.h"

#include <algorithm>
#include <array>

#include "common/base/utf8.h"
#include "common/datasets/dialect.h"

namespace graft::datasets {
namespace {

/// The word around byte `at`, read as Windows-1252; empty if it isn't that.
std::string AsWindows1252(std::string_view text, size_t at) {
  constexpr size_t kMaxBytes = 24;
  constexpr std::string_view kBreaks = " \t\r\n,;\"";
  const size_t before = text.find_last_of(kBreaks, at);
  size_t begin = before == std::string_view::npos ? 0 : before + 1;
  if (at - begin > kMaxBytes) begin = at;
  const size_t end = std::min(text.find_first_of(kBreaks, at), text.size());
  // Of 0x80 to 0x9F; 0 where nothing is assigned.
  constexpr std::array<uint16_t, 32> kUpper = {
      0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
      0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
  std::string word;
  for (const char c : text.substr(begin, std::min(end - begin, 2 * kMaxBytes))) {
    const auto byte = static_cast<unsigned char>(c);
    const uint32_t code = byte >= 0x80 && byte < 0xA0 ? kUpper[byte - 0x80] : byte;
    if (code < 0x20) return {};
    AppendUtf8(code, word);
  }
  return word;
}

std::string Folded(std::string_view name) {
  std::string folded(Stripped(name));
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return folded;
}

}  // namespace

std::optional<ErrorDetail> CheckUtf8(std::string_view text, int64_t line, std::string_view column) {
  const size_t at = FirstInvalidUtf8(text);
  const std::string where = column.empty() ? std::string("the line") : std::string("the field");
  if (at == std::string_view::npos) {
    const size_t zero = text.find('\0');
    if (zero == std::string_view::npos) return std::nullopt;
    return ErrorDetail{"ZERO_BYTE",
                       {},
                       line,
                       Printable(column),
                       "byte " + std::to_string(zero + 1) + " of " + where +
                           " is a zero byte, which no text has; write the file again as UTF-8"};
  }
  const auto byte = static_cast<unsigned char>(text[at]);
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string message = "byte " + std::to_string(at + 1) + " of " + where + " (0x" +
                        kDigits[byte >> 4] + kDigits[byte & 15] + ") isn't UTF-8";
  const std::string guess = AsWindows1252(text, at);
  message += guess.empty() ? "; save the file as UTF-8"
                           : "; if it is meant as " + Quoted(guess) +
                                 ", the file is Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE, "
                                 "or save it as UTF-8";
  return ErrorDetail{"BAD_UTF8", {}, line, Printable(column), std::move(message)};
}

namespace {

std::string Listed(const std::vector<std::string>& columns) {
  constexpr size_t kMaxListed = 20;
  std::string list;
  for (size_t i = 0; i < std::min(columns.size(), kMaxListed); ++i) {
    list += (i == 0 ? "" : ", ") + Quoted(columns[i]);
  }
  if (columns.size() > kMaxListed) {
    list += " and " + std::to_string(columns.size() - kMaxListed) + " more";
  }
  return list;
}

/// What to do if one of the columns differs from `name` in case only; empty if none does.
std::string AsWritten(std::string_view name, const std::vector<std::string>& columns) {
  for (const std::string& column : columns) {
    if (Folded(column) == Folded(name)) return "; name it as it is written, " + Quoted(column);
  }
  return {};
}

}  // namespace

ErrorDetail MissingColumns(const std::vector<std::vector<std::string>>& groups,
                           const std::vector<std::string>& columns, int64_t line) {
  std::string wanted;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (i > 0) wanted += i + 1 == groups.size() ? " or " : ", ";
    for (size_t j = 0; j < groups[i].size(); ++j)
      wanted += (j > 0 ? " with " : "") + Quoted(groups[i][j]);
  }
  std::string list = Listed(columns);
  for (const std::vector<std::string>& group : groups) {
    for (const std::string& name : group) list += AsWritten(name, columns);
  }
  return {"COLUMN_MISSING",
          {},
          line,
          {},
          "there is no column " + wanted +
              (list.empty() ? std::string("; there are none") : "; the columns are " + list)};
}

ErrorDetail MissingColumn(std::string_view name, const std::vector<std::string>& columns,
                          int64_t line) {
  const std::string list = Listed(columns) + AsWritten(name, columns);
  return {"COLUMN_MISSING",
          {},
          line,
          Printable(name),
          "there is no column " + Quoted(name) +
              (list.empty() ? std::string("; there are none") : "; the columns are " + list)};
}

ErrorDetail RecordTooLong(int64_t line, size_t max_bytes) {
  return {"RECORD_TOO_LONG",
          {},
          line,
          {},
          "the record that begins here is longer than " + std::to_string(max_bytes) +
              " bytes, which is the limit"};
}

std::string ColumnName(const std::vector<std::string>& names, size_t index) {
  return index < names.size() ? Printable(names[index]) : std::string();
}

}  // namespace graft::datasets
