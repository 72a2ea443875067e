#include "common/datasets/record_faults.h"

#include <algorithm>
#include <array>

#include "common/base/utf8.h"

namespace graft::datasets {

std::optional<ErrorDetail> CheckUtf8(std::string_view text, int64_t line, std::string_view column) {
  const size_t at = FirstInvalidUtf8(text);
  if (at == std::string_view::npos) return std::nullopt;
  const auto byte = static_cast<unsigned char>(text[at]);
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string message = "byte " + std::to_string(at + 1) + " of " +
                        (column.empty() ? std::string("the line") : "the field") + " (0x" +
                        kDigits[byte >> 4] + kDigits[byte & 15] + ") isn't UTF-8";
  const bool is_utf16 = line == 1 && at == 0 && (byte == 0xFF || byte == 0xFE);
  message +=
      is_utf16 ? "; the file looks like UTF-16, save it as UTF-8" : "; save the file as UTF-8";
  return ErrorDetail{"BAD_UTF8", {}, line, Printable(column), std::move(message)};
}

ErrorDetail MissingColumn(std::string_view name, const std::vector<std::string>& columns,
                          int64_t line) {
  constexpr size_t kMaxListed = 20;
  std::string list;
  for (size_t i = 0; i < std::min(columns.size(), kMaxListed); ++i) {
    list += (i == 0 ? "" : ", ") + Quoted(columns[i]);
  }
  if (columns.size() > kMaxListed) {
    list += " and " + std::to_string(columns.size() - kMaxListed) + " more";
  }
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
