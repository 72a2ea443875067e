#include "common/datasets/records.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/decode.h"
#include "common/datasets/delimited.h"
#include "common/datasets/jsonl.h"

namespace graft::datasets {
namespace {

StatusOr<Format> FromWord(std::string_view word) {
  const std::string lower = AsciiLower(word);
  if (lower == "csv") return Format::kCsv;
  if (lower == "tsv") return Format::kTsv;
  if (lower == "jsonl" || lower == "json") return Format::kJsonl;
  return InvalidArgumentError("there is no format " + Quoted(word) +
                              "; use csv, tsv, jsonl or json");
}

}  // namespace

StatusOr<Format> FormatOf(std::string_view name, std::string_view explicit_format) {
  if (!explicit_format.empty()) return FromWord(explicit_format);
  std::string lower = AsciiLower(name.substr(name.find_last_of('/') + 1));
  if (const auto what = ForeignName(lower)) return InvalidArgumentError(*what);
  if (IsGzipName(lower)) lower.resize(lower.size() - 3);
  constexpr std::array<std::pair<std::string_view, Format>, 7> kEndings = {
      {{".csv", Format::kCsv},
       {".tsv", Format::kTsv},
       {".tab", Format::kTsv},
       {".jsonl", Format::kJsonl},
       {".ndjson", Format::kJsonl},
       {".json-lines", Format::kJsonl},
       {".json", Format::kJsonl}}};
  for (const auto& [ending, format] : kEndings) {
    if (lower.ends_with(ending)) return format;
  }
  return InvalidArgumentError("the format of " + Quoted(name, 200) +
                              " is unknown; its name must end in .csv, .tsv, .jsonl or .json, or "
                              "one of these and .gz; or say the format: csv, tsv or jsonl");
}

std::unique_ptr<RecordReader> NewRecordReader(std::unique_ptr<ByteSource> source,
                                              RecordOptions options) {
  source = DecodeText(std::move(source));
  if (options.format == Format::kJsonl) {
    return std::make_unique<JsonlReader>(std::move(source), std::move(options));
  }
  return std::make_unique<DelimitedReader>(std::move(source), std::move(options));
}

}  // namespace graft::datasets
