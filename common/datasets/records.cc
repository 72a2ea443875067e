#include "common/datasets/records.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/delimited.h"
#include "common/datasets/jsonl.h"

namespace graft::datasets {
namespace {

StatusOr<Format> FromWord(std::string_view word) {
  if (word == "csv") return Format::kCsv;
  if (word == "tsv") return Format::kTsv;
  if (word == "jsonl") return Format::kJsonl;
  return InvalidArgumentError("there is no format " + Quoted(word) + "; use csv, tsv or jsonl");
}

}  // namespace

StatusOr<Format> FormatOf(std::string_view name, std::string_view explicit_format) {
  if (!explicit_format.empty()) return FromWord(explicit_format);
  std::string lower(name.substr(name.find_last_of('/') + 1));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (IsGzipName(lower)) lower.resize(lower.size() - 3);
  constexpr std::array<std::pair<std::string_view, Format>, 6> kEndings = {
      {{".csv", Format::kCsv},
       {".tsv", Format::kTsv},
       {".tab", Format::kTsv},
       {".jsonl", Format::kJsonl},
       {".ndjson", Format::kJsonl},
       {".json-lines", Format::kJsonl}}};
  for (const auto& [ending, format] : kEndings) {
    if (lower.ends_with(ending)) return format;
  }
  const std::string hint = lower.ends_with(".json") ? "; write one object a line and name it .jsonl"
                                                    : "; or say the format: csv, tsv or jsonl";
  return InvalidArgumentError(
      "the format of " + Quoted(name, 200) +
      " is unknown; its name must end in .csv, .tsv or .jsonl, or one of these "
      "and .gz" +
      hint);
}

std::unique_ptr<RecordReader> NewRecordReader(std::unique_ptr<ByteSource> source,
                                              RecordOptions options) {
  if (options.format == Format::kJsonl) {
    return std::make_unique<JsonlReader>(std::move(source), std::move(options));
  }
  return std::make_unique<DelimitedReader>(std::move(source), std::move(options));
}

}  // namespace graft::datasets
