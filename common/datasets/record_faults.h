#pragma once
/// The faults that the record readers have in common.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::datasets {

/// BAD_UTF8 if `text` isn't UTF-8, ZERO_BYTE if it holds one. `column` may be empty.
std::optional<ErrorDetail> CheckUtf8(std::string_view text, int64_t line, std::string_view column);

/// COLUMN_MISSING; lists the columns there are.
ErrorDetail MissingColumn(std::string_view name, const std::vector<std::string>& columns,
                          int64_t line);

/// COLUMN_MISSING where none of the groups (RecordOptions::any_of) is there.
ErrorDetail MissingColumns(const std::vector<std::vector<std::string>>& groups,
                           const std::vector<std::string>& columns, int64_t line);

/// RECORD_TOO_LONG.
ErrorDetail RecordTooLong(int64_t line, size_t max_bytes);

/// The name at `index`, fit for a message; empty if there is none.
std::string ColumnName(const std::vector<std::string>& names, size_t index);

}  // namespace graft::datasets
