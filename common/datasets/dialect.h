#pragma once
/// How a delimited file is written: what separates its fields. Spreadsheets and languages differ,
/// and a file's name doesn't tell. Pure functions.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/datasets/records.h"

namespace graft::datasets {

struct Dialect {
  char delimiter = ',';
  /// Blanks behind each delimiter belong to the layout, as in "text, label".
  bool skips_blanks = false;
  /// The first line is a spreadsheet's "sep=;", not a record.
  bool has_sep_line = false;
};

/// Tells the dialect of a file from its first lines. The format's own delimiter holds unless the
/// wanted columns are only found with another of , ; tab |, or a sep= line names one. Without a
/// header only tabs are found so, since the others stand in texts. If no delimiter finds the
/// columns: the one that makes most of the first line, so that the fault can name what there is.
/// Requires: `front` is the text from its first line that isn't blank on.
Dialect FindDialect(std::string_view front, const RecordOptions& options);

/// "commas", "semicolons", "tabs" or "pipes", for a message.
std::string_view DelimiterName(char delimiter);

/// Where the wanted column is among a header's names: the one of exactly that name, or else the
/// only one that is so named but for white space and invisible characters around it.
std::optional<size_t> FindColumn(const std::vector<std::string>& names, std::string_view wanted);

/// True if a header of these names has what `options` want one of.
bool HasOneGroup(const std::vector<std::string>& names, const RecordOptions& options);

/// True if nothing of `text` would be seen.
bool IsBlank(std::string_view text);

/// `text` without white space and invisible characters at its ends.
std::string_view Stripped(std::string_view text);

}  // namespace graft::datasets
